"""Runs to compare: from a link, from marks on the Runs page, from the list; and the address bar that names them.

A run's word is its key, or `gallery:NAME` for one that is shipped: `?runs=KEY,gallery:thanos-0.5`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.shared import resources, state
from app.shared.comparison import MOST
from app.shared.findings import wording
from cache.keys import is_key
from cache.records import RunRecord
from core.records import RunResult

_MOST_WORDS = 24  # of a link that are looked up
SHIPPED = "gallery:"
_FIRST = (f"{SHIPPED}sparsegpt-0.5", f"{SHIPPED}thanos-0.5")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A run that is compared, and the word that names it in a link."""

    word: str
    result: RunResult
    name: str = ""  # by which a person calls it


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The runs that can be compared, and what is to be told about the words that name no such run."""

    runs: tuple[Chosen, ...]
    notes: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the runs that are there."""
        return tuple(run.word for run in self.runs)


def arrive() -> Choice:
    """The runs that the link names if a person has just followed it, else those chosen last, else two shipped ones."""
    words, entered = st.query_params.get("runs", ""), state.recall("page", "") != "compare"
    strangers = [word for word in st.query_params if word != "runs"]
    state.remember("page", "compare")
    context = get_script_run_ctx()
    history = context is not None and context.is_history_navigation
    if not state.recall("comparing", ()) or history or (entered and words):
        choose(_split(words) if words else _first())
        state.remember("strangers", strangers[:_MOST_WORDS])
    return look(state.recall("comparing", ()), state.recall("strangers", ()))


def choose(words: Sequence[str]) -> None:
    """Compare these runs from now on."""
    state.remember("comparing", tuple(words))
    state.forget("strangers")


def dismiss() -> None:
    """Take the notes about the link away, with the words that they are about."""
    choose(look(state.recall("comparing", ())).words)


def write(choice: Choice) -> None:
    """Make the link name the runs that are shown. A bare address means the shipped ones and stays: written anew it would be a second entry
    in the browser's history, from which Back leads to the first, and that here again."""
    words, address = {"runs": ",".join(choice.words)} if choice.runs else {}, st.query_params.to_dict()
    if words != address and (address or choice.words != tuple(_first())):
        st.query_params.from_dict(words)


def look(words: Sequence[str], strangers: Sequence[str] = ()) -> Choice:
    """Find the runs behind words. What cannot be found is told, with what there is instead."""
    runs: list[Chosen] = []
    notes = [f"{word[:60]!r} means nothing here. Allowed: runs. It is left out." for word in strangers]
    for word in words:
        if len(runs) == MOST:
            more = len(words) - words.index(word)
            notes.append(f"At most {MOST} runs stand side by side; {more} more {'is' if more == 1 else 'are'} left out.")
            break
        found = _find(word)
        if isinstance(found, str):
            notes.append(found)
        else:
            record = resources.store().record(word) if is_key(word) else None
            runs.append(Chosen(word=word, result=found, name=record.name if record else ""))
    return Choice(runs=tuple(runs), notes=tuple(notes))


def groups() -> dict[str, tuple[str, ...]]:
    """The shipped runs that differ in nothing but the method: the words of each such group, by its pattern's word in a name."""
    found: dict[str, list[str]] = {}
    for name, result in resources.shipped().items():
        found.setdefault(name.removeprefix(f"{result.spec.method.name}-"), []).append(f"{SHIPPED}{name}")
    return {pattern: tuple(words[:MOST]) for pattern, words in found.items() if len(words) > 1}


def _find(word: str) -> RunResult | str:
    """A result, or why there is none."""
    if word.startswith(SHIPPED):
        shipped = resources.shipped()
        name = word.removeprefix(SHIPPED)
        return shipped.get(name) or f"{name[:60]!r} is not in the gallery. {_gallery(list(shipped))}"
    if not is_key(word):
        return (f"{word[:60]!r} names no run: a run's key has 64 digits and letters a to f, a shipped run is {SHIPPED}NAME. "
                f"It is left out.")
    store = resources.store()
    result, record = store.result(word), store.record(word)
    if result is not None:
        return result
    if record is not None and record.state != "finished":
        return _unfinished(record)
    return f"Run {word[:8]} is not in this store: it was deleted, or made on another machine. {resources.at_hand()}"


def _unfinished(record: RunRecord) -> str:
    """Reason why a run cannot be compared, and when it can."""
    which = f"{wording.describe(record.spec)} (run {record.key[:8]})"
    if record.active:
        return f"{which} is {record.state}: it can be compared when it is finished."
    if record.state == "cancelled":
        return f"{which} was canceled: open it on the Runs page and run it again, then it can be compared."
    why = record.error or "No reason was recorded."
    return f"{which} failed. {why} Open it on the Runs page, change that and run it; then it can be compared."


def _gallery(names: Sequence[str]) -> str:
    """Contents of the gallery, in brief."""
    if not names:
        return "It is empty."
    rest = f" and {len(names) - 3} more: Choose runs lists them" if len(names) > 3 else ""
    return f"There are: {', '.join(names[:3])}{rest}."


def example() -> tuple[str, ...]:
    """Two shipped runs that differ in their method alone, if they are there."""
    names = {f"{SHIPPED}{name}" for name in resources.shipped()}
    return _FIRST if set(_FIRST) <= names else ()


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",", _MOST_WORDS)[:_MOST_WORDS] if word.strip()))


def _first() -> tuple[str, ...]:
    """Runs of a bare link: two shipped runs that differ in their method alone, else the two newest finished ones."""
    newest = tuple(record.key for record in resources.store().runs(limit=2, states=("finished",)))
    return example() or newest or tuple(f"{SHIPPED}{name}" for name in list(resources.shipped())[:2])
