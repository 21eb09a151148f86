"""The button that settles by runs in full what a preview's windows cannot, and how many of them are to come."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.shared import numbers, resources, submission
from app.shared.alpha_runs import AlphaRuns
from core.spec import RunSpec

_HELP = ("Runs in full without outlier rows, with the strongest and with random ones in their place, at equal counted sparsity. Finished "
         "runs stand in the chart as diamonds.")


def draw(runs: AlphaRuns) -> None:
    """Draw what is missing of the finished runs with the button that asks for it; the page is drawn anew when a run has ended."""
    if runs.active:
        st.fragment(_draw_active, run_every=1.0)(tuple(record.key for record in runs.active))
    elif runs.missing:
        takes = f", about {numbers.seconds(len(runs.missing) * runs.seconds)}" if runs.seconds else ""
        st.button(f"Settle it by {numbers.plural(len(runs.missing), 'run')} on all windows{takes}", key="alpha-runs", on_click=_start,
                  args=(runs.missing,), help=_HELP)


def _start(specs: Sequence[RunSpec]) -> None:
    for spec in specs:
        submission.start(spec)


def _draw_active(keys: tuple[str, ...]) -> None:
    records = map(resources.store().record, keys)
    if sum(record is not None and record.active for record in records) < len(keys):
        st.rerun()
    st.caption(f"{numbers.plural(len(keys), 'run')} to come; the page Runs shows how far they are.")
