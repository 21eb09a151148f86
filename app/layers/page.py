"""The Layers page: the map of all layers, and what every method leaves in the one that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.layers import details, panels, view
from app.layers.bars import bars_of
from app.layers.charts.layer_map import Measure
from app.layers.charts.method_bars import Bar
from app.layers.findings import layer_finding, map_finding
from app.layers.query import OWN, read_measure
from app.layers.view import View
from app.shared import address, answers, large_model, layer_choice, layout, run_page, whole_shapes
from app.shared.findings import wording
from app.shared.layer_choice import Map
from core.spec import RunSpec

_ROOM = 8  # blocks whose numbers a narrow screen has room for
_PROMISE = ("Here you will see the error of every layer as a map, and for the layer you choose what each method leaves in it: "
            "how much its mask costs at best, and how much the method adds to that.")


def draw() -> None:
    """Draw the whole page, from its link."""
    spec = run_page.begin("layers", "Which layers lose most, and how much of that is due to the mask?", own=OWN)
    if spec is not None:
        _draw(spec)
    address.write(spec)


def _draw(spec: RunSpec) -> None:
    measure = read_measure()
    known = layer_choice.finished(spec)
    if spec.pattern.shrinks:
        _draw_whole(spec, known, measure)
        return
    shapes = layer_choice.shapes(spec, known)
    whole = large_model.is_whole(spec) if shapes else None
    if shapes and whole is None:
        return
    layer = layer_choice.wanted(shapes) or ("" if whole or known else next(iter(shapes), ""))
    seen = view.look(spec, known, layer, shapes, whole=bool(whole)) if shapes else None
    if seen is None:
        layout.sentence(_PROMISE)
        return
    layer_choice.settle(seen.layer, layer_choice.worst_of(seen.map) if seen.map and seen.map.fits else "")
    bars = bars_of(spec, seen.layer, seen.record, seen.present, seen.others)
    _draw_words(spec, seen, bars)
    trouble = seen.trouble
    if trouble and not seen.told:
        answers.tell(trouble, "")
    with st.container(horizontal=True, gap="medium"):
        with st.container(key="side-map-wide" if seen.map and len({item.block for item in seen.map.layers}) > _ROOM else "side-map"):
            if seen.map is None and seen.preview is not None and seen.preview.problem:
                layout.sentence("The map of all layers stands here when each of them can be solved.")
            elif seen.map is None and not whole:
                large_model.note("The map of all layers")
            else:
                panels.draw_map(seen.map, seen.layer, measure)
        with st.container(key="side-bars"):
            panels.draw_methods(view.base_of(seen.solved), bars, seen.layer, seen.others, shapes)
            panels.draw_exact(seen)
    details.draw(seen.solved, seen.layer, seen.record, seen.map, told=trouble.problem if trouble else None)


def _draw_whole(spec: RunSpec, known: Map | None, measure: Measure) -> None:
    """The map of a finished run whose structures went together; no layer is solved by itself."""
    whole_shapes.draw_alone(spec)
    if known is not None:
        layout.sentence(map_finding(known.layers))
        with st.container(key="side-map-wide"):
            panels.draw_map(known, "", measure)


def _draw_words(spec: RunSpec, seen: View, bars: Sequence[Bar]) -> None:
    layout.heading(wording.describe(spec), wording.describe_rest(spec), seen.map.origin if seen.map else "")
    of_map = map_finding(seen.map.layers) if seen.map and seen.map.fits else ""
    of_layer = layer_finding(bars, weighed=bool(spec.fisher), shared=seen.solved != spec)
    if of_map or of_layer:
        layout.sentence(" ".join(filter(None, (of_map, of_layer))))
