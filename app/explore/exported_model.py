"""The pruned model of a run to take away: a zip that a worker writes, with its progress, then the link to fetch it."""

from __future__ import annotations

from html import escape

import streamlit as st

from app.shared import access, layout, numbers, request_progress, resources, state
from cache.exports import Export
from cache.keys import run_key
from core.export.room import weights_bytes
from core.records import RunResult
from core.spec import RunSpec
from core.spec.errors import PruneError

_WHAT = ("The pruned model: a folder that transformers' AutoModelForCausalLM loads (safetensors, tokenizer, model card, recipe, the run's "
         "record), in one zip.")


def draw(result: RunResult) -> None:
    """The way to the zip of a run: the button that asks for it, its progress, or the link."""
    spec, jobs, exports = result.spec, resources.jobs(), resources.store().exports
    layout.aside(_WHAT)
    try:
        key, about = jobs.key(spec), numbers.size(weights_bytes(spec))
    except PruneError as error:
        layout.note(str(error), tone="bad", title="The pruned model cannot be written.")
        return
    if key != run_key(spec, result.revisions):
        layout.note("This run used another model, text or version of the method than are here now: run it again to take its model away.")
        return
    request, ready = exports.requests.read(key), exports.ready(key)
    if request is not None and ready is not None:
        if request.checked:
            layout.aside(f"The written model was {request.checked}.")
        until, size = numbers.moment(exports.until(ready)), numbers.size(ready.stat().st_size)
        if access.guarded_here():
            st.html(_link(request, size, until))
        else:
            layout.note(f"The zip is {ready} ({size}), kept until {until}. A server started with `python -m app.server` gives a link.")
        return
    refused = state.recall("export-refused", ("", ""))
    if refused[0] == key:
        layout.note(refused[1], tone="bad", title="Not started.")
    request_progress.draw(jobs.exporting, request, failed="The zip could not be written.", cancelled="Canceled. Nothing was kept of it.",
                          place="export")
    if request is None or not request.active:
        st.button(f"Prepare the pruned model (about {about})", key="prepare-model", on_click=_ask, args=(spec, key),
                  help="A worker writes it: from the run's kept blocks, or by computing them again where they are gone.")


def _ask(spec: RunSpec, key: str) -> None:
    try:
        resources.jobs().exporting.submit(spec)
        state.forget("export-refused")
    except PruneError as error:
        state.remember("export-refused", (key, str(error)))


def _link(request: Export, size: str, until: str) -> str:
    """The download's link, relative to the root, where Explore is. It holds the ticket: only those who see the page have it."""
    name = f"{request.name}.zip"
    return (f"<p class='ps-remark'><a class='ps-download' href='exports/{request.key}/{escape(request.ticket, quote=True)}/"
            f"{escape(name, quote=True)}' download='{escape(name, quote=True)}' target='_self'>Download {escape(name)}</a> "
            f"({escape(size)}). Kept until {escape(until)}; an interrupted download can be resumed.</p>")
