"""One row of the list of runs, as HTML. Names, notes and reasons are plain text: escaped, never markup."""

from __future__ import annotations

from html import escape

from app.shared import numbers
from app.shared.findings import wording
from cache.records import RunRecord

HEAD = ("<div class='ps-row ps-head'><span>Run</span><span title='On the evaluation text of the run; open it for the protocol'>"
        "Perplexity, dense → pruned</span><span title='Counted in the pruned layers'>Sparsity</span><span>State</span>"
        "<span>When</span></div>")


def row(record: RunRecord, now: float) -> str:
    """The row of a run at a time `now`. Narrow screens show `data-label` before a number, for there the head is left out."""
    which, rest = wording.both(record.spec)  # pyright: ignore[reportArgumentType]  (a frozen noun has a hash)
    name = f"<strong>{escape(record.name)}</strong> " if record.name else ""
    title = f"{'Pinned: ' if record.pinned else ''}{name}{escape(which)} <span class='ps-quiet'>{escape(rest)}</span>"
    sparsity = "" if record.counted_sparsity is None else numbers.percent(record.counted_sparsity)
    state = "paused" if record.paused else wording.state(record.state)
    stamp = record.ended or record.started or record.submitted
    cells = [f"<span>{title}</span>", f"<span data-label='perplexity'>{escape(_outcome(record))}</span>",
             f"<span data-label='sparsity'>{escape(sparsity)}</span>", f"<span class='ps-quiet'>{escape(state)}</span>",
             f"<span class='ps-quiet'>{escape(numbers.ago(stamp, now))}</span>"]
    if record.note:
        cells.append(f"<span class='ps-own-note'>{escape(record.note)}</span>")
    if record.state == "failed" and record.error:
        cells.append(f"<span class='ps-why'>{escape(record.error)}</span>")
    return f"<div class='ps-row'>{''.join(cells)}</div>"


def _outcome(record: RunRecord) -> str:
    if record.dense_perplexity is None or record.pruned_perplexity is None:
        return ""
    return f"{numbers.perplexity(record.dense_perplexity)} → {numbers.perplexity(record.pruned_perplexity)}"
