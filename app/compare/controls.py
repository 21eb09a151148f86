"""Choosing runs to compare: what is chosen stands in the sidebar, all there is in a table that sorts and searches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from html import escape

import streamlit as st

from app.compare import query
from app.compare.query import SHIPPED, Choice
from app.shared import dataframes, layout, numbers, resources, state
from app.shared.comparison import MOST, Compared
from app.shared.findings import wording
from app.shared.markup import glyph
from core.spec import RunSpec

_ALL = 1_000_000
_ECHO_SECONDS = 1.0  # sooner nobody takes a mark away that the list has just set
_FORMATS = {
    "run": st.column_config.TextColumn("run", pinned=True, width="large"),
    "name": st.column_config.TextColumn("name"),
    "else": st.column_config.TextColumn("what else is not the default", width="medium"),
    "perplexity": st.column_config.NumberColumn("perplexity", help="of the pruned model, each by its own protocol"),
    "dense": st.column_config.NumberColumn("dense"),
    "sparsity": st.column_config.NumberColumn("counted sparsity"),
    "ended": st.column_config.DatetimeColumn("finished", format="YYYY-MM-DD HH:mm"),
    "from": st.column_config.TextColumn("from"),
}
_FORMS = {"perplexity": numbers.perplexity, "dense": numbers.perplexity, "sparsity": numbers.fine_percent}


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """A run as it is offered: its word in a link, a name that no other has, its row in the table."""

    word: str
    name: str
    row: dict[str, object]

    def fits(self, parts: Sequence[str]) -> bool:
        """True if the row contains each part; 22:47 of the clock is no pattern 2:4."""
        text = " ".join(str(value.date() if isinstance(value, datetime) else value) for value in self.row.values()).lower()
        return all(part in text for part in parts)


def draw_choice(choice: Choice, runs: Sequence[Compared]) -> None:
    """The chosen runs, each with a way to take it out; the way to choose others; and the gallery's groups."""
    st.html("<div class='ps-side'>Runs side by side</div>")
    with st.container(gap="xxsmall"):
        for chosen, run in zip(choice.runs, runs, strict=True):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False, gap="small"):
                st.html(f"<div class='ps-chosen'>{glyph(run)} {escape(run.label)}</div>")
                others = [word for word in choice.words if word != chosen.word]
                st.button(layout.named("Remove", run.label), key=f"remove-{chosen.word}", type="tertiary", on_click=query.choose,
                          args=(others,), disabled=len(runs) == 1, help="The last one stays." if len(runs) == 1 else None)
    st.button("Choose runs", key="choose", width="stretch", on_click=_open, args=(choice.words,))
    groups = query.groups()
    if groups:
        st.html("<div class='ps-side'>Shipped: all methods at</div>")
        with st.container(horizontal=True, gap="small"):
            for pattern, words in groups.items():
                spec = resources.shipped()[words[0].removeprefix(SHIPPED)].spec
                st.button(wording.describe_pattern(spec.pattern), key=f"group-{pattern}", on_click=query.choose, args=(words,))


def draw_dialog() -> None:
    """The table of all runs, while it is open."""
    if state.recall("choosing", False):
        st.dialog(f"Choose 2 to {MOST} runs", width="large", on_dismiss=partial(state.forget, "choosing"))(_draw_table)()


def _open(words: Sequence[str]) -> None:
    state.remember("choosing", True)
    state.remember("picked", tuple(words))


def _draw_table() -> None:
    """The table and the list below it are two views of what is picked: marks need a mouse, the list is for keys too."""
    text = st.text_input("Show only", key="find", placeholder="thanos 2:4", help="Runs in whose line every word occurs.")
    parts = (text or "").lower().split()
    offers = _offers()
    picked = [word for word in _picked() if word in offers]
    shown = [offer for offer in offers.values() if offer.fits(parts)]
    rows = [row for row, offer in enumerate(shown) if offer.word in picked]
    before, words = _marks(), tuple(offer.word for offer in shown)
    if before != rows:
        if words == state.recall("shown", ()):  # else its numbers mean other runs now
            state.remember("told", (time.monotonic(), before))
        state.set_widget("offers", {"selection": {"rows": rows}})
    state.remember("shown", words)
    table = dataframes.table([offer.row for offer in shown], _FORMS)
    st.dataframe(table, hide_index=True, column_config=_FORMATS, height=350, key="offers",
                 column_order=[name for name in _FORMATS if name != "name" or any(offer.row.get(name) for offer in shown)],
                 on_select=_mark, selection_mode="multi-row", selection_default={"selection": {"rows": rows}},
                 alt="All finished runs, and the shipped ones")
    if not state.recall("from-list", False) and (was := state.widget(_list())) is not None and list(was) != picked:
        state.remember("list", state.recall("list", 0) + 1)  # a new one: told another value, a list may keep what it has
    state.forget("from-list")
    st.multiselect("Runs to compare", list(offers), picked, key=_list(), format_func=lambda word: offers[word].name, on_change=_pick,
                   placeholder="Mark them above, or type to find one here", select_all=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        fits = 2 <= len(picked) <= MOST
        if st.button("Compare", key="compare-picked", type="primary", disabled=not fits):
            query.choose(picked)
            state.forget("choosing")
            st.rerun()
        more = f"of {numbers.count(len(offers))} runs" + ("" if fits else f"; choose 2 to {MOST}")
        layout.sentence(f"{len(picked)} {more}")


def _picked() -> tuple[str, ...]:
    return state.recall("picked", ())


def _marks() -> list[int] | None:
    """The rows that are marked in the table; None before it is drawn."""
    table = state.widget("offers")
    return None if table is None else list(table["selection"]["rows"])


def _mark() -> None:
    """Marks came or went. What is picked and not shown stays picked; what is new comes last.

    With whatever else changes, the browser sends the table's marks as well; from before it was told others, if it has not drawn those yet.
    """
    rows, (told, before) = _marks(), state.recall("told", (-_ECHO_SECONDS, None))
    if rows == before and time.monotonic() < told + _ECHO_SECONDS:
        return
    shown: tuple[str, ...] = state.recall("shown", ())
    marked = [shown[row] for row in rows or () if row < len(shown)]
    stay = [word for word in _picked() if word in marked or word not in shown]
    state.remember("picked", (*stay, *(word for word in marked if word not in stay)))


def _list() -> str:
    """The key of the list that is there now."""
    return f"picks-{state.recall('list', 0)}"


def _pick() -> None:
    """The list changed. It has its value, and another in its place would take away what is being typed."""
    state.remember("from-list", True)
    state.remember("picked", tuple(state.widget(_list())))


def _offers() -> dict[str, _Offer]:
    """Every run that can be compared, by its word: the store's in the order of the Runs page, then the gallery's."""
    rows = {record.key: _row(record.spec, record.pruned_perplexity, record.dense_perplexity, record.counted_sparsity, record.ended,
                             "pinned" if record.pinned else "runs") | {"name": record.name, "note": record.note}
            for record in resources.store().runs(limit=_ALL, states=("finished",))}
    rows |= {f"{SHIPPED}{name}": _row(result.spec, result.pruned.perplexity, result.dense.perplexity, result.counted_sparsity,
                                      result.environment.started, "shipped")
             for name, result in resources.shipped().items()}
    names = {word: " · ".join(str(row[part]) for part in ("name", "run", "else") if row.get(part)) for word, row in rows.items()}
    often = Counter(names.values())
    return {word: _Offer(word=word, row=row, name=names[word] if often[names[word]] == 1 else f"{names[word]} · {_apart(word)}")
            for word, row in rows.items()}


def _apart(word: str) -> str:
    """Distinction of a run from others whose specs are equal: where it is from."""
    return "shipped" if word.startswith(SHIPPED) else f"run {word[:8]}"


def _row(spec: RunSpec, pruned: float | None, dense: float | None, sparsity: float | None, ended: float | None,
         origin: str) -> dict[str, object]:
    run, rest = wording.both(spec)  # pyright: ignore[reportArgumentType]  (a frozen noun has a hash)
    return {"run": run, "else": rest, "perplexity": pruned, "dense": dense,
            "sparsity": sparsity, "ended": datetime.fromtimestamp(ended, UTC) if ended else None, "from": origin}
