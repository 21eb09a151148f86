"""Overlap of masks between the first run and another: a section of a report, and where its counts come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from app.report.cells import Cells, cells
from app.shared.charts.overlaps import overlap_chart
from app.shared.comparison import Compared, compare
from app.shared.findings.overlaps import overlap_finding, overlap_rows
from app.shared.findings.wording import listed
from app.shared.questions.overlaps import NOT_KEPT, OverlapsQuestion, kept_key
from app.shared.style import Theme
from core.records import RunResult
from core.records.overlaps import Overlaps

if TYPE_CHECKING:
    from cache.store import Store


def overlap_questions(store: Store, results: Sequence[RunResult], keys: Sequence[str | None]) -> tuple[OverlapsQuestion | str, ...]:
    """For each run after the first what to ask of the two, or in words why their masks cannot be compared. `keys`: where known."""
    kept = [kept_key(store, result, key) for result, key in zip(results, keys, strict=True)]
    lacking = [run.label for run, key in zip(compare(results), kept, strict=True) if key is None]
    first = kept[0] if kept else None
    return tuple(OverlapsQuestion(spec=results[0].spec, a=first, b=key) if first and key else NOT_KEPT.format(listed(lacking))
                 for key in kept[1:])


def overlap_charts(runs: Sequence[Compared], masks: Sequence[Overlaps | str], themes: Sequence[Theme]
                   ) -> dict[str, dict[Theme, go.Figure]]:
    """One chart for each run whose mask is known, by name."""
    return {f"mask-overlaps-{place}": {theme: overlap_chart(runs[0], runs[place], found, theme=theme) for theme in themes}
            for place, found in enumerate(masks, 1) if isinstance(found, Overlaps)}


@dataclass(frozen=True, kw_only=True)
class OverlapText:
    """Overlap of a run's mask with the first run's: a sentence, the place of its chart, its table; or only why it is not known."""

    text: str
    chart: str = ""
    table: Cells | None = None


def overlap_texts(runs: Sequence[Compared], masks: Sequence[Overlaps | str]) -> tuple[OverlapText, ...]:
    """One for each run after the first; the same reason only once."""
    found = (OverlapText(text=found) if isinstance(found, str) else
             OverlapText(text=overlap_finding(runs[0], runs[place], found), chart=f"chart-mask-overlaps-{place}",
                         table=cells(overlap_rows(runs[0], runs[place], found)))
             for place, found in enumerate(masks, 1))
    return tuple(dict.fromkeys(found))
