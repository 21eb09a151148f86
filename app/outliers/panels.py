"""The two panels of the page of outlier rows: the map of all layers, and one layer's rows with the cut that α makes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from pydantic import ValidationError

from app.outliers import charts, findings, gain_panel
from app.shared import address, answers, large_model, layout, numbers, state
from app.shared.chart_downloads import take_away
from app.shared.plot import plot
from app.shared.pressed_marks import pressed_word
from app.shared.style import chart_config
from core.records.outlier_rows import EnergyShare, LayerRows
from core.spec import RunSpec
from core.spec.alphas import alpha_for, row_choices, with_alpha
from core.spec.errors import input_errors
from core.spec.patterns import outlier_count

_CHART = 236
MAPS = {"energy": "Where the energy is", "gain": "Where α pays"}


def name_of(shares: Sequence[EnergyShare], name: str) -> str:
    item = next(item for item in shares if item.name == name)
    return findings.layer_name(item.block, item.module)


def draw_map(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, alpha: float, *, whole: bool = True) -> None:
    """The map of all layers. `whole`: the one of what α does to errors may be computed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="outlier-map-kind"):
        state.set_widget("outlier-map", _map_kind())
        st.segmented_control("Map of the layers", list(MAPS), key="outlier-map", format_func=MAPS.__getitem__, required=True,
                             label_visibility="collapsed", on_change=_map_chosen)
    if _map_kind() == "gain" and not whole:
        large_model.note("The map of where α pays")
    elif _map_kind() == "gain":
        gain_panel.draw(spec, shares, layer, alpha, on_click=_clicked, height=_CHART)
    else:
        _draw_energy(spec, shares, layer, alpha)
    state.set_widget("outlier-layer", layer)
    st.selectbox("Layer", [item.name for item in shares], key="outlier-layer", on_change=_selected, label_visibility="collapsed")


def _draw_energy(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, alpha: float) -> None:
    layout.heading(f"Energy in the strongest {findings.share_word(alpha)} of rows", "click a cell")
    plot(charts.energy_map(shares, layer, theme=layout.theme(), height=_CHART), key="energy-map",
                    config=chart_config("energy-map"), on_select=_clicked, selection_mode="points",
                    alt=f"Share of the energy in the strongest rows, block by module. {findings.map_finding(shares, alpha)}")
    take_away("outlier-map", partial(charts.share_rows, shares),
              (spec.model, f"energy of the strongest rows, α = {numbers.setting(alpha)}, from the dense model's Gram matrices"))


def _map_kind() -> str:
    """The map of the link; a word that there is no map for is told."""
    word = address.word("map") or next(iter(MAPS))
    if word not in MAPS:
        address.refuse("map", f"map: {word[:40]!r} cannot be used. Allowed: {', '.join(MAPS)}.")
        return next(iter(MAPS))
    return word


def _map_chosen() -> None:
    chosen = str(state.widget("outlier-map"))
    address.set_word("map", "" if chosen == next(iter(MAPS)) else chosen)


def _clicked() -> None:
    name = pressed_word("gain-map" if _map_kind() == "gain" else "energy-map")
    if isinstance(name, str) and name:
        address.set_word("layer", name)


def _selected() -> None:
    address.set_word("layer", str(state.widget("outlier-layer")))


def draw_rows(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, rows: answers.Shown) -> None:
    item = next(item for item in shares if item.name == layer)
    name = name_of(shares, layer)
    layout.heading(f"Rows of {name}, by energy", f"{numbers.count(item.rows)} rows, the strongest first")
    view: LayerRows | None = rows.answer
    if rows.problem:
        answers.tell(rows, "Solving this layer")
    if view is None and rows.problem:
        return
    with st.container(key="outlier-rows" if rows.fits else "old-outlier-rows", height=_CHART, border=False):
        if view is not None:
            plot(charts.sorted_rows(view, theme=layout.theme(), height=_CHART), key="sorted-rows",
                            config=chart_config("rows-by-energy"), alt=findings.layer_finding(view, name),
                            on_select=partial(_pressed, spec, item.rows), selection_mode="points")
    _draw_cut(spec, item)
    if view is not None:
        take_away("outlier-rows", partial(charts.row_rows, view),
                  (spec.title, f"α = {numbers.setting(spec.pattern.outlier_rows)}", view.name, f"{view.tokens} calibration tokens"))


def _draw_cut(spec: RunSpec, item: EnergyShare) -> None:
    """α in whole rows of this layer, under its axis. Where the pattern has no such α the nearest is taken, and told."""
    count = outlier_count(item.rows, spec.pattern.outlier_rows)
    state.set_widget("outlier-cut", count)
    with st.container(key="outlier-cut-row"):
        st.slider("Rows that stay dense", 0, item.rows, key="outlier-cut", label_visibility="collapsed", on_change=_moved,
                  args=(spec, item.rows), format=f"%d of {item.rows} rows",
                  help="The same α as on the left, in whole rows of this layer. The other layers keep the same share of theirs.")
    told = state.recall("cut-told", "")
    if told:
        layout.aside(told)
    state.forget("cut-told")


def _pressed(spec: RunSpec, rows: int) -> None:
    """Cut behind the row that was pressed. Pressed again, a point is given free by the browser: the cut stays."""
    wanted = pressed_word("sorted-rows")
    if isinstance(wanted, int | float):
        _cut_at(spec, rows, max(0, min(int(wanted), rows)))


def _moved(spec: RunSpec, rows: int) -> None:
    _cut_at(spec, rows, int(state.widget("outlier-cut")))


def _cut_at(spec: RunSpec, rows: int, wanted: int) -> None:
    """The α that keeps so many rows of this layer, or the nearest that the pattern allows."""
    choices = row_choices(spec.pattern, rows)
    count = min(choices, key=lambda choice: (abs(choice - wanted), choice))
    alpha = alpha_for(spec.pattern, rows, count)
    state.set_widget("alpha", alpha)
    if count != wanted:
        state.remember("cut-told", f"{numbers.plural(wanted, 'row')} cannot stay here, so the nearest count is taken: {count}. "
                       f"{_why(spec, rows, wanted)}")


def _why(spec: RunSpec, rows: int, wanted: int) -> str:
    """Limit that the pattern sets to the share of rows that was wanted."""
    try:
        with_alpha(spec.pattern, min(wanted / rows, 0.9999))
    except ValidationError as error:
        return str(input_errors(error)[0])
    return ""
