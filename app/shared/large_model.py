"""Models that do not fit into memory with their Gram matrices: these are collected once, then pages of layers read what they need."""

from __future__ import annotations

import streamlit as st

from app.shared import answers, layer_choice, layout, numbers, request_progress, resources, state
from app.shared.questions.preview import HeldQuestion
from core.records.previews import Held
from core.spec import RunSpec
from core.spec.errors import PruneError

WHOLE = "every layer solved, and the model run, at each change of a control"


def is_whole(spec: RunSpec) -> bool | None:
    """True if every question can be asked, as the worker holds the model in memory (or as long as nobody knows); False if it reads single
    layers, whose Gram matrices are here. None where these have to be collected first: that is drawn in place of the page."""
    if spec.model == "demo":  # always small
        return True
    shown = answers.ask(HeldQuestion(spec=layer_choice.same_layers(spec)), "held")
    held: Held | None = shown.answer if shown.fits else None
    if held is None or held.whole:
        return True
    return False if _collected(spec, held) else None


def note(wanted: str) -> None:
    """Reason why something is not shown for a model of which single layers are read."""
    layout.aside(f"{wanted} needs {WHOLE}, and this model is larger than memory. A run computes it with one block in memory at a time.")


def _collected(spec: RunSpec, held: Held) -> bool:
    jobs = resources.jobs()
    try:
        key, kept = jobs.collecting.key(spec), jobs.collecting.kept(spec)
    except PruneError as error:
        layout.note(str(error), tone="bad", title="The Gram matrices cannot be collected.")
        return False
    done = kept.blocks
    if done >= held.blocks:
        return True
    layout.heading(spec.model, "larger than memory")
    layout.sentence("This model does not fit into memory with its Gram matrices. Collected once and kept on disk, they answer for any "
                    "layer, method and pattern; the layer's weight is read from the model's files.")
    request = jobs.collecting.requests.read(key)
    request_progress.draw(
        jobs.collecting, request, failed="The Gram matrices could not be collected.", place="collecting",
        cancelled="Cancelled. Finished blocks are kept: collecting goes on behind them.", partial=lambda: kept.blocks >= held.blocks)
    refused = state.recall("collecting-refused", ("", ""))
    if refused[0] == key:
        layout.note(refused[1], tone="bad", title="Not started.")
    if request is None or not request.active:
        left = 1 - done / held.blocks
        st.button(f"Collect {numbers.plural(held.blocks - done, 'block')}: at most {numbers.size(left * held.gram_bytes)} on disk, about "
                  f"{numbers.seconds(held.seconds)}", key="collect", type="primary", on_click=_ask,
                  args=(spec, key, round(left * held.gram_bytes)), help="On the worker that computes runs, after what is queued there.")
    return False


def _ask(spec: RunSpec, key: str, bytes_needed: int) -> None:
    try:
        resources.jobs().collecting.submit(spec, bytes_needed)
        state.forget("collecting-refused")
    except PruneError as error:
        state.remember("collecting-refused", (key, str(error)))
