"""The map of where α pays, layer by layer as the answers come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from pydantic import ValidationError

from app.outliers import findings, gains
from app.shared import alpha_points, answers, layout, numbers, state
from app.shared.chart_downloads import take_away
from app.shared.plot import plot
from app.shared.style import chart_config
from core.records.outlier_rows import EnergyShare
from core.spec import RunSpec
from core.spec.errors import input_errors

_PLACE = "outlier-gains"
_POLL = 0.5
_AT_ONCE = 8
_LEGEND = ("Change of the layer's error by keeping the strongest rows, in %, at equal counted sparsity. “=”: less than 1 %, or not alike "
           "for all calibration seeds. “*”: a draw of as many random rows does as well.")


def draw(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, alpha: float, *, on_click: Callable[[], None], height: int) -> None:
    """The map; it looks again by itself while layers are missing."""
    layout.heading(f"Where keeping {findings.share_word(alpha)} of the rows pays", "click a cell")
    try:
        asked = gains.questions(spec, shares, alpha, alpha_points.seeds(spec))
    except ValidationError as error:
        layout.note(str(input_errors(error)[0]), title="There is no such α at equal counted sparsity.")
        return
    waiting = answers.gather(asked, _PLACE, at_once=_AT_ONCE, wait=answers.WAIT).waiting
    st.fragment(_draw, run_every=_POLL if waiting else None)(spec, shares, layer, alpha, on_click, height, bool(waiting))


def _draw(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, alpha: float, on_click: Callable[[], None], height: int,
          waited: bool) -> None:
    if state.recall("gain-pressed", False):  # the layer that was pressed is the page's, not of this fragment alone
        state.forget("gain-pressed")
        st.rerun()
    seeds = alpha_points.seeds(spec)
    gathered = answers.gather(gains.questions(spec, shares, alpha, seeds), _PLACE, at_once=_AT_ONCE)
    if waited != bool(gathered.waiting):
        st.rerun()
    found = gains.gains(shares, gathered.answers)
    if gathered.problems:
        layout.note(gathered.problems[0], tone="bad", title=f"{numbers.plural(len(gathered.problems), 'point')} cannot be computed.")
        st.button("Try again", key="gains-again", on_click=answers.retry, args=(_PLACE,))
    if gathered.waiting:
        st.progress(len(gathered.answers) / (2 * len(shares) * len(seeds)), text=f"{len(found)} of {numbers.plural(len(shares), 'layer')}")
    if not found:
        return
    words = gains.finding(found, alpha)
    plot(gains.gain_map(shares, found, layer, theme=layout.theme(), height=height), key="gain-map", config=chart_config("where-alpha-pays"),
         on_select=partial(_pressed, on_click), selection_mode="points", alt=words)
    layout.aside(words if not gathered.waiting else f"So far: {words}")
    layout.aside(_LEGEND)
    take_away("where-alpha-pays", partial(gains.gain_rows, found),
              (spec.title, f"α = {numbers.setting(alpha)}, equal counted sparsity", numbers.plural(len(seeds), "calibration seed")))


def _pressed(on_click: Callable[[], None]) -> None:
    on_click()
    state.remember("gain-pressed", True)
