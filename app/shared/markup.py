"""Pieces of HTML that pages and reports share. Everything a person or a file said is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.shared import comparison, numbers
from app.shared.comparison import Compared
from app.shared.findings import facts
from app.shared.style import GLYPHS
from core.evaluate.comparison import compare
from core.records import RunResult
from core.spec import Evaluation


def glyph(run: Compared) -> str:
    """A run's mark in text, in its color."""
    return f"<span class='ps-mark' style='color:{run.mark.color}' aria-hidden='true'>{GLYPHS.get(run.mark.symbol, '●')}</span>"


def comparison_table(runs: Sequence[Compared]) -> str:
    """Table of the settings that differ, then of the results."""
    head = "".join(f"<th scope='col'>{glyph(run)}&nbsp;{escape(run.label)}</th>" for run in runs)
    asked = [(item.setting, item.values) for item in comparison.differences(runs) if item.setting != "Method"]  # that is in the labels
    body = "".join(_line(name, values) for name, values in asked) + "".join(
        _line(name, values, first=place == 0) for place, (name, values) in enumerate(facts.outcomes(runs)))
    return f"<table class='ps-table'><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Table with a head over each column of values."""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in heads)
    body = "".join(_line(name, values) for name, values in rows)
    return f"<table class='ps-table'><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def texts_table(result: RunResult) -> str:
    """Table of a run's perplexities on each of its evaluation texts."""
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Dense", "Pruned", "Change ± standard error", "Windows"))
    lines = [(_source(text.spec.evaluation), text.dense, text.pruned) for text in result.on_each_text]
    body = "".join(_line(word, (numbers.perplexity(dense.perplexity), numbers.perplexity(pruned.perplexity),
                                change.verdict if (change := compare(dense, pruned)) else "",
                                f"{pruned.windows} × {pruned.length} tokens, {pruned.dtype}"))
                   for word, dense, pruned in lines)
    return (f"<div class='ps-wide'><table class='ps-table'><thead><tr><th scope='col'>Perplexity on</th>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>")


def _source(text: Evaluation) -> str:
    return text.source + ("" if text.bos == "auto" else f", BOS token {text.bos}")


def _line(name: str, values: Sequence[str], *, first: bool = False) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f"<tr{' class=ps-ruled' if first else ''}><th scope='row'>{escape(name)}</th>{cells}</tr>"
