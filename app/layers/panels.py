"""The two panels of the Layers page: the map of all layers, and the methods in the chosen one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import streamlit as st

from app.layers import layer_answers, view
from app.layers.bars import bar_rows
from app.layers.charts.layer_map import MEASURES, Measure, layer_map
from app.layers.charts.method_bars import Bar, method_bars
from app.layers.findings import layer_finding, map_finding
from app.shared import address, answers, layer_choice, layout, numbers, state, tables
from app.shared.chart_downloads import take_away
from app.shared.findings import wording
from app.shared.first_paint import first_paint
from app.shared.layer_choice import Map
from app.shared.plot import plot
from app.shared.pressed_marks import pressed_word
from app.shared.style import chart_config
from core.records import LayerRecord
from core.records.previews import LayerEstimate
from core.spec import METHOD_LABELS, RunSpec

_HEIGHT = 372


def draw_map(known: Map | None, layer: str, measure: Measure) -> None:
    """The map, with what it is colored by; a press on a cell chooses its layer."""
    state.set_widget("layers_measure", measure)
    st.segmented_control("Color", list(MEASURES), key="layers_measure", format_func=MEASURES.__getitem__, required=True,
                         label_visibility="collapsed", on_change=_measure_changed)
    if known is None or first_paint():
        st.container(height=_HEIGHT, border=False)
        return
    state.remember("layers-cells", [item.name for item in known.layers])
    with st.container(key="map" if known.fits else "old-answer-map"):
        plot(
            layer_map(known.layers, measure=measure, chosen=layer, calibration=known.calibration, theme=layout.theme(), height=_HEIGHT),
            key="layers-map", config=chart_config("layers"), on_select=_pressed, selection_mode="points",
            alt=f"A map of {numbers.plural(len(known.layers), 'layer')}. {map_finding(known.layers)}")
        take_away("layers", partial(tables.layer_rows, known.layers), (known.origin, f"calibration: {known.calibration}"))


def _measure_changed() -> None:
    measure = state.widget("layers_measure")
    address.set_word("measure", "" if measure == "error" else measure)


def _pressed() -> None:
    """Look into the layer that was pressed. Pressed again, a point is given free by the browser: it is still that layer."""
    name = pressed_word("layers-map") or state.recall("layers-pressed", "")
    if isinstance(name, str) and name in state.recall("layers-cells", []):
        state.remember("layers-pressed", name)
        layer_choice.choose(name)


def draw_methods(base: RunSpec, bars: Sequence[Bar], layer: str, shown: Sequence[answers.Shown], found: Collection[str]) -> None:
    """The error of every method in the chosen layer, and the list of layers."""
    layer_choice.draw_select("layers_layer", found, layer)
    if all(bar.missing for bar in bars):
        layout.sentence("What every method leaves in this layer stands here when there is an answer.")
        return
    if first_paint():
        st.container(height=_HEIGHT, border=False)
        return
    plot(method_bars(bars, theme=layout.theme(), height=_HEIGHT), key="layers-methods", config=chart_config(layer),
                    alt=f"Error of every method in {layer}. {layer_finding(bars)}")
    take_away("layer-methods", partial(bar_rows, bars), (f"{layer}, every method alone, from the dense model's Gram matrices",
                                                      base.pattern.model_dump_json()))
    waiting = {name: seconds for item in shown if item.fits for name, seconds in item.answer.slow.items()}
    offered = {name: seconds for name, seconds in waiting.items() if seconds <= view.AT_MOST}
    if offered and state.recall("layers-slow", None) != (base, layer):
        label = wording.listed([METHOD_LABELS[name] for name in offered])
        st.button(f"Solve it with {label} too: about {numbers.seconds(sum(offered.values()))}", key="layers_slow", type="tertiary",
                  on_click=state.remember, args=("layers-slow", (base, layer)))
    failed = {name: why for item in shown if item.fits for name, why in item.answer.failed.items()}
    remarks = [f"{METHOD_LABELS[name]}: {why}" for name, why in failed.items()]
    remarks += [f"{METHOD_LABELS[name]} would take {numbers.seconds(seconds)}." for name, seconds in waiting.items() if name not in offered]
    if remarks:
        layout.aside("Not shown. " + " ".join(remarks))


def draw_exact(seen: view.View) -> None:
    """The way from an estimated optimum of this layer to the exact one."""
    record = seen.record
    if record is None or not seen.present.fits:
        return
    if isinstance(record, LayerEstimate):
        _draw_all_rows(seen, record)
    if seen.present.waiting:
        layout.aside("Solving this layer on all rows …" if isinstance(record, LayerEstimate) else "Computing its best possible error …")
    elif record.optimum_rows is not None and not isinstance(record, LayerEstimate):
        _draw_optimum(seen, record)


def _draw_all_rows(seen: view.View, record: LayerEstimate) -> None:
    layout.aside(f"≈ {record.error_words}: one standard error.")
    seconds = state.recall(layer_answers.SECONDS, None)
    if seconds is not None:
        st.button(f"Solve it on all {numbers.count(record.shape[0])} rows: about {numbers.seconds(seconds)}", key="layers_all_rows",
                  type="tertiary", on_click=state.remember, args=(layer_answers.ALL_ROWS, (seen.solved, seen.layer)))


def _draw_optimum(seen: view.View, record: LayerRecord) -> None:
    assert record.optimum_rows is not None
    st.button(f"Best possible of this layer from all {numbers.count(record.shape[0])} rows", key="layers_exact", type="tertiary",
              on_click=state.remember, args=(layer_answers.EXACT, (seen.solved, seen.layer)),
              help=f"Now an {record.optimum_words}. It takes about {numbers.count(round(record.shape[0] / record.optimum_rows))} times as "
              "long.")
