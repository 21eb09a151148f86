"""Above and below the chart: what cannot be run, what failed and why, what was left out."""

from __future__ import annotations

from app.curves.missing_runs import State, run_title
from app.shared import layout, numbers, state

_SHOWN = 6  # failures told in full


def draw_troubles(now: State) -> None:
    """Draw points that cannot be run, that failed and why, and that were left out of the chart."""
    if now.problem:
        layout.note(now.problem, tone="bad", title="Nothing can be computed for this choice.")
    refused = state.recall("curves_refused", "")
    if refused:
        layout.note(refused, tone="bad", title="Not started.")
    for record in now.failed[:_SHOWN]:
        layout.note(record.error or "No reason was recorded.", tone="bad", title=f"{run_title(record.spec)} failed.")
    if len(now.failed) > _SHOWN:
        layout.note(f"{len(now.failed) - _SHOWN} more failed; the Runs page lists them.", tone="bad")
    told = {record.error for record in now.failed}
    for reason in (*now.grid.refused[:_SHOWN], *(reason for reason in now.fit.reasons if reason not in told)):
        layout.note(reason)
    for text in _left_out(now):
        layout.note(text)


def _left_out(now: State) -> list[str]:
    said: list[str] = []
    if now.matching.foreign:
        said.append("These points were computed with other texts, or another model or version, than are here now (the embedded texts are "
                    "the installed Python's own). Points computed here will stand alone.")
    if now.matching.elsewhere:
        said.append(f"{numbers.plural(now.matching.elsewhere, 'point')} with other texts, model or arithmetic behind the same names "
                    "left out: such numbers cannot be compared.")
    if now.matching.outdated:
        said.append(f"{numbers.plural(now.matching.outdated, 'point')} of an earlier version of the method left out.")
    return said
