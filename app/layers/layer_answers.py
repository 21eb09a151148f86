"""The chosen layer's own answer: of a small one at once, of a large one an estimate, then all rows, then its exact optimum."""

from __future__ import annotations

from dataclasses import replace

from app.layers.questions import LayerQuestion
from app.shared import answers, state
from app.shared.answers import Shown
from app.shared.questions.first_look import FirstLookQuestion
from core.records.previews import is_large
from core.spec import RunSpec

_WAIT = 1.0  # seconds for the layer's own answer: drawn without it, the page would take longer than it does to come
_PLACE = "layer"
EXACT = "layers-exact"  # place of the layer whose optimum is wanted from all rows
ALL_ROWS = "layers-all-rows"  # of the one whose error is
BY_ITSELF = 30.0  # seconds: what takes longer is solved on all rows when asked to
SECONDS = "layers-seconds"  # where the seconds of that are told


def solve(spec: RunSpec, layer: str, shape: tuple[int, int]) -> Shown:
    """The record of a layer; a LayerEstimate while no better one is there."""
    state.forget(SECONDS)
    if not is_large(*shape):
        exact = state.recall(EXACT, None) == (spec, layer)
        return answers.ask(LayerQuestion(spec=spec, layer=layer, exact=exact), _PLACE, wait=_WAIT)
    first = answers.ask(FirstLookQuestion(spec=spec, layer=layer, behind=not spec.leaves_kept_weights), f"{_PLACE}-first", wait=_WAIT)
    if not first.fits:
        answers.leave(_PLACE)
        answers.leave(f"{_PLACE}-exact")
        return replace(first, answer=first.answer.record if first.answer else None)
    estimate = Shown(answer=first.answer.record, fits=True)
    if first.answer.seconds > BY_ITSELF and state.recall(ALL_ROWS, None) != (spec, layer):
        state.remember(SECONDS, first.answer.seconds)
        return estimate
    return _behind(spec, layer, estimate)


def _behind(spec: RunSpec, layer: str, estimate: Shown) -> Shown:
    """From all rows, and where it was asked for with the exact optimum; the estimate until then, with the reason if that is all."""
    whole = answers.ask(LayerQuestion(spec=spec, layer=layer, behind=True), _PLACE, wait=0.0)
    if not whole.fits:
        return replace(whole, answer=estimate.answer, fits=True)
    if state.recall(EXACT, None) != (spec, layer):
        return whole
    exact = answers.ask(LayerQuestion(spec=spec, layer=layer, exact=True), f"{_PLACE}-exact", wait=0.0)
    return exact if exact.fits else replace(exact, answer=whole.answer, fits=True)
