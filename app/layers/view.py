"""Answers for the Layers page: the chosen layer by the method of the controls and by the others, and the map of all layers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from app.layers import layer_answers
from app.layers.questions import AT_ONCE, MethodsQuestion
from app.shared import answers, layer_choice, previews, state
from app.shared.answers import Shown
from app.shared.layer_choice import Map
from app.workers.questions import Question
from core.records import LayerRecord
from core.spec import METHODS, RunSpec

_TOGETHER = 1.2  # seconds in which the others' answers are gathered before the page is drawn anew
_SETTLED = 0.6  # seconds that the controls must have been left alone before all layers are solved: one layer answers first
_QUICK_SECONDS = 5.0
Shapes = Mapping[str, tuple[int, int]]  # of the layers by name: outputs, inputs
AT_MOST = 600.0  # seconds: what takes longer is not offered


@dataclass(frozen=True, kw_only=True)
class View:
    """State of the page. `solved` is what the layer is asked with: `spec`, or where zeros are shared out, with the layer's own share."""

    layer: str
    solved: RunSpec
    present: Shown  # the layer by the method of the controls
    others: tuple[Shown, ...]  # by the other methods
    map: Map | None
    preview: Shown | None  # of all layers; None where a finished run is the map

    @property
    def record(self) -> LayerRecord | None:
        """The chosen layer by the method of the controls, once it is known."""
        answer: LayerRecord | None = self.present.answer
        return answer if answer is not None and answer.name == self.layer else None

    @property
    def trouble(self) -> Shown | None:
        """The first answer that will not come."""
        return next((item for item in (self.present, *self.others) if item.lost or (item is self.present and item.problem)), None)

    @property
    def told(self) -> bool:
        """True if the map has said already why an answer will not come."""
        return bool(self.trouble and self.preview and self.preview.problem == self.trouble.problem)


def look(spec: RunSpec, known: Map | None, layer: str, shapes: Shapes, *, whole: bool = True) -> View | None:
    """Ask for everything the page shows. `known`: the finished run's map; `layer`: the one asked for, empty for the worst.
    `whole`: the map of a preview may be asked for. None while no layer can be chosen."""
    mapped = known is not None or not whole
    preview = previews.first(spec)
    asked = st.container(gap=None)  # what looks again takes no room: the page does not move when the answers are there
    with asked:
        settled = _settled(spec)
        for place in () if settled else ("quick", *_methods(quick=False), "preview"):
            answers.before(place)  # what these compute leaves its cores to the layer's own answer
        solved = layer_choice.with_own_share(spec, known or _map_before(spec), layer)
        present = layer_answers.solve(solved, layer, shapes[layer]) if layer else None
        others = _ask({**(_others(base_of(solved), layer) if layer else {}), **({} if mapped else {"preview": preview})}, settled)
        seen = None if mapped else previews.best(spec, others.pop("preview"))
    known = _map(spec, seen, settled=settled) if seen else known
    layer = layer or layer_choice.worst_of(known) or (next(iter(shapes)) if previews.offered(spec) else "")
    if not layer:
        return None
    own = layer_choice.with_own_share(spec, known if known and known.fits else _map_before(spec), layer)
    if present is None or own != solved:
        solved = own
        with asked:
            present = layer_answers.solve(solved, layer, shapes[layer])
            others = _ask(_others(base_of(solved), layer), settled)
    return View(layer=layer, solved=solved, present=present, others=tuple(others.values()), map=known, preview=seen)


def _ask(questions: Mapping[str, Question], settled: bool) -> dict[str, Shown]:
    """Ask for the answer of each place; nothing is asked anew before the controls settle. A page that shows something waits for more."""
    wait = 0.1 if state.recall("layers-map", None) is None else _TOGETHER
    return answers.together(questions, wait=wait) if settled else {place: answers.before(place) for place in questions}


def base_of(spec: RunSpec) -> RunSpec:
    """Base spec of the other methods: the same zeros and output weights."""
    return layer_choice.same_layers(spec).model_copy(update={"pattern": spec.pattern, "fisher": spec.fisher})


def _others(base: RunSpec, layer: str) -> dict[str, Question]:
    """Errors of the other methods: the quick ones in one question, each of the others by itself."""
    most = AT_MOST if state.recall("layers-slow", None) == (base, layer) else AT_ONCE
    return {"quick": MethodsQuestion(spec=base, layer=layer, methods=_methods(quick=True), seconds=_QUICK_SECONDS),
            **{name: MethodsQuestion(spec=base, layer=layer, methods=(name,), seconds=most) for name in _methods(quick=False)}}


def _methods(*, quick: bool) -> tuple[str, ...]:
    """The methods whose answers are quick, or the others."""
    return tuple(name for name, method in METHODS.items() if method.quick == quick)


def _settled(spec: RunSpec) -> bool:
    """True if the controls have been left alone for a while; if not, the page looks again by itself."""
    here = st.container()
    before, since = state.recall("layers-since", (None, 0.0))
    if before != spec:
        since = time.time() if before is not None else 0.0
        state.remember("layers-since", (spec, since))
    if time.time() - since >= _SETTLED:
        return True
    with here:
        st.fragment(_look_again, run_every=_SETTLED)()
    return False


def _map_before(spec: RunSpec) -> Map | None:
    """The map that was drawn last, if it is this spec's."""
    return state.recall("layers-map", None) if state.recall("layers-map-of", None) == spec else None


def _map(spec: RunSpec, shown: Shown, *, settled: bool) -> Map | None:
    """The map of the preview once the controls have settled; until then the one before, a finished run's perhaps."""
    old: Map | None = state.recall("layers-map", None)
    if old is not None and not settled:
        return Map(layers=old.layers, origin=old.origin, calibration=old.calibration, fits=False)
    known = layer_choice.previewed(shown)
    state.remember("layers-map", known)
    state.remember("layers-map-of", spec if known and known.fits else None)
    return known


def _look_again() -> None:
    if time.time() - state.recall("layers-since", (None, 0.0))[1] >= _SETTLED:
        st.rerun()
