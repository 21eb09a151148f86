"""The address bar: a link sets the controls and the run to show; the controls write the link. Nothing in a link can break a page.

Streamlit's `bind="query-params"` drops what does not fit without a word, and knows no word made of several widgets (`pattern=2:4`).
So the link is read and written here, in the words of `app/shared/link.py`. `run=KEY` is in it exactly while the controls ask for that run.
A word that is not in it has its default, so that the bare address is the shipped example, for everybody and after every reload.
"""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.shared import controls, layout, link, resources, state
from cache.keys import is_key
from core.spec import RunSpec


def arrive(page: str = "explore", own: Collection[str] = ()) -> tuple[str, ...]:
    """Take over what the address bar says where a person put it there: a link that was opened, or a step back or forward in the
    browser's history. Returns what to tell about it. In all other reruns the controls are right and the address bar may be late.

    `own` are words of this page beside those of a run; `word` reads them, `set_word` changes them."""
    words, notes = link.bounded(st.query_params.to_dict())
    entered = state.recall("page", "") != page
    state.remember("page", page)
    if not state.recall("arrived", False) or _history() or (entered and words):
        state.remember("own", {page: {name: words.pop(name) for name in own if name in words}, **_others(page)})
        if words or not state.recall("arrived", False) or _history():  # a link with words of the page alone keeps the controls
            state.remember("notes", (*notes, *_open(words)))
        state.remember("arrived", True)
    elif entered:
        state.forget("notes")
    return state.recall("notes", ())


def word(name: str, default: str = "") -> str:
    """One of the page's own words, as the link or the page set it: check it before use."""
    return state.recall("own", {}).get(state.recall("page", ""), {}).get(name, default)


def set_word(name: str, value: str) -> None:
    """Set one of the page's own words; an empty one leaves the link."""
    page = state.recall("page", "")
    mine = {**state.recall("own", {}).get(page, {}), name: value}
    state.remember("own", {**_others(page), page: {word: text for word, text in mine.items() if text}})


def refuse(name: str, why: str) -> None:
    """Drop one of the page's own words that cannot be used, and tell why, now and until it is dismissed."""
    set_word(name, "")
    told = state.recall("notes", ())
    state.remember("notes", (*told, why))
    layout.note(why, tone="bad", title="" if told else "Not everything in this link could be used.")


def _others(page: str) -> dict[str, dict[str, str]]:
    return {name: words for name, words in state.recall("own", {}).items() if name != page}


def leave() -> None:
    """For pages without the controls of a run: the next visit to one that has them is a new arrival."""
    if state.recall("page", ""):
        state.forget("notes")
    state.remember("page", "")


def strangers() -> tuple[str, ...]:
    """For pages whose link has no words: what to tell of those that somebody gave it. They leave the link."""
    words = list(st.query_params)
    if words:
        st.query_params.clear()
        state.remember("notes", tuple(f"{link.shortened(name)} means nothing here: this page's link has no words. It is left out."
                                      for name in words))
    return state.recall("notes", ())


def write(spec: RunSpec | None, run: str | None = None) -> None:
    """Make the link say what the controls and the page's own words say, and which run is shown if it is the one they ask for."""
    if spec is None:
        return
    own = state.recall("own", {}).get(state.recall("page", ""), {})
    words = {**({"run": run} if run else {}), **link.to_words(spec), **own}
    if words != st.query_params.to_dict():
        st.query_params.from_dict(words)


def dismiss() -> None:
    """Take the notes about the link away."""
    state.forget("notes")


def _history() -> bool:
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _open(words: dict[str, str]) -> tuple[str, ...]:
    key = words.pop("run", None)
    spec, notes = link.from_words(words)
    state.forget("opened")
    if key is None and not words:
        spec = _first()
    elif key is not None and not is_key(key):
        notes = (f"run: {key[:60]!r} is no run's key (64 digits and letters a to f). The settings of the link are kept.", *notes)
    elif key is not None:
        record = resources.store().record(key)
        if record is None:
            kept = " The settings of the link are kept: Run on the Explore page computes it here." if words else ""
            notes = (f"Run {key[:8]} is not in this store: it was deleted, or made on another machine.{kept} {resources.at_hand()}", *notes)
        else:
            state.remember("opened", key)
            spec, notes = record.spec, ()
    controls.fill(spec)
    return notes


def _first() -> RunSpec:
    """Run of a bare link: the shipped example, which has the defaults; never a run that happened to finish last."""
    shipped = resources.gallery()
    return shipped[0].spec if shipped else RunSpec()
