"""Choice of the layer of a page: the word `layer` of its link, else the layer chosen before, else the worst."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import streamlit as st

from app.shared import address, answers, previews, run_lookup, state
from app.shared.link import shortened
from app.shared.questions.preview import LayersQuestion
from core.records import LayerRecord
from core.spec import OPTIONS, Magnitude, RunSpec, Structured, Unstructured

DIFFERENCE = "preview from the dense model's Gram matrices"
_WORD = "layer"


@dataclass(frozen=True, kw_only=True)
class Map:
    """The layers with what a run, or its preview, leaves in each. `fits`: it belongs to what the controls ask for now."""

    layers: tuple[LayerRecord, ...]
    origin: str
    calibration: str
    fits: bool


def same_layers(spec: RunSpec) -> RunSpec:
    """The same model and texts with nothing said about pruning: questions about the layers alone are asked with this."""
    return RunSpec.model_validate({**dict(spec), "method": Magnitude(), "pattern": Unstructured(),
                                   **{name: RunSpec.model_fields[name].default for name in OPTIONS if name != "experts"}})


def with_own_share(spec: RunSpec, known: Map | None, layer: str) -> RunSpec:
    """Spec of one layer alone: with an uneven allocation the layer's share in the map, else the even one."""
    record = next((item for item in known.layers if item.name == layer), None) if known is not None and known.fits else None
    if spec.allocation == "even" or not isinstance(spec.pattern, Structured | Unstructured) or record is None:
        return spec
    rows, columns = record.shape
    zeros = round(record.counted_sparsity * record.parameters)
    count = zeros // max(1, rows - record.dense_rows) if isinstance(spec.pattern, Structured) else zeros
    exact = spec.pattern.with_count(count, rows, columns)
    for digits in range(3, 8):  # the shortest number that says it
        pattern = exact.model_copy(update={"sparsity": round(exact.sparsity, digits)})
        if pattern.target(rows, columns) == exact.target(rows, columns):
            return spec.model_copy(update={"pattern": pattern, "allocation": "even"})
    return spec.model_copy(update={"pattern": exact, "allocation": "even"})


def finished(spec: RunSpec) -> Map | None:
    """The map of the finished run of a spec, if there is one."""
    answer = run_lookup.look(spec).answer
    if answer is None or not answer.fits:
        return None
    return Map(layers=answer.result.layers, origin="from the finished run", calibration=answer.result.calibration, fits=True)


def preview(spec: RunSpec) -> Map | None:
    """The map of the preview, or the one before it; says so where it is waited for, or why there is none."""
    return previewed(previews.best(spec, answers.ask(previews.first(spec), "preview", wait=0.1)))


def previewed(shown: answers.Shown) -> Map | None:
    """The map of a preview."""
    if shown.problem or shown.answer is None:
        answers.tell(shown, "Solving every layer")
    if shown.answer is None:
        return None
    origin = ", ".join(filter(None, (previews.standing(shown.answer.rows), DIFFERENCE)))
    return Map(layers=shown.answer.layers, origin=origin, calibration=shown.answer.calibration, fits=shown.fits)


def shapes(spec: RunSpec, known: Map | None) -> dict[str, tuple[int, int]]:
    """The layers of the model, as rows and columns by name; none while it is being opened, which is said."""
    if known is not None:
        return {layer.name: layer.shape for layer in known.layers}
    shown = answers.ask(LayersQuestion(spec=same_layers(spec)), "layers")
    if not shown.fits:
        answers.tell(replace(shown, answer=None), "Opening the model")
        return {}
    return {info.name: (info.rows, info.columns) for info in shown.answer}


def wanted(found: Collection[str]) -> str:
    """The layer that the link or this tab asks for; empty if none, or one that this model does not have, which is told. As long as the
    layers are not known the link's is kept."""
    word = address.word(_WORD)
    if word and found and word not in found:
        refuse(word, found, "the worst layer")
        word = ""
    layer = word or state.recall("layer", "")
    return layer if layer in found else ""


def refuse(word: str, found: Collection[str], instead: str) -> None:
    """Tell of a layer that this model does not have, and which there are."""
    some = ", ".join(list(found)[:3])
    address.refuse(_WORD, f"{_WORD}: {shortened(word)} cannot be used. Allowed: this model's {len(found)} layers: {some}, …. "
                          f"Used instead: {instead}.")


def settle(layer: str, worst: str) -> None:
    """Stay with this layer while the controls change; the link names it unless it is the worst anyway."""
    state.remember("layer", layer)
    if worst:
        address.set_word(_WORD, "" if layer == worst else layer)


def choose(layer: str) -> None:
    """Look into another layer, on this page and the next."""
    state.remember("layer", layer)
    address.set_word(_WORD, layer)


def draw_select(key: str, found: Collection[str], layer: str, *, labeled: bool = False) -> None:
    """All layers as a list, for those who do not press on charts."""
    state.set_widget(key, layer)
    st.selectbox("Layer", list(found), key=key, on_change=lambda: choose(state.widget(key)), 
                 label_visibility="visible" if labeled else "collapsed")


def worst_of(known: Map | None) -> str:
    """The layer of greatest error."""
    return max(known.layers, key=lambda layer: layer.relative_error).name if known else ""
