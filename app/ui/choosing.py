"""Choosing runs to compare: what is chosen stands in the sidebar, all there is in a table that sorts and searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from html import escape

import streamlit as st

from app.figures import findings, numbers
from app.figures.comparison import Compared
from app.figures.markup import glyph
from app.ui import compared, layout, resources, state
from app.ui.compared import MOST, SHIPPED, Choice
from core.spec import RunSpec

_ALL = 1_000_000
_FORMATS = {
    "run": st.column_config.TextColumn("run", pinned=True, width="large"),
    "else": st.column_config.TextColumn("what else is not the default", width="medium"),
    "perplexity": st.column_config.NumberColumn("perplexity", format="%.2f", help="of the pruned model, each by its own protocol"),
    "dense": st.column_config.NumberColumn("dense", format="%.2f"),
    "sparsity": st.column_config.NumberColumn("counted sparsity", format="percent"),
    "ended": st.column_config.DatetimeColumn("finished", format="YYYY-MM-DD HH:mm"),
    "from": st.column_config.TextColumn("from"),
}


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """A run as the table offers it."""

    word: str
    row: dict[str, object]

    def fits(self, parts: Sequence[str]) -> bool:
        """Whether each part is said somewhere in its row."""
        text = " ".join(str(value) for value in self.row.values()).lower()
        return all(part in text for part in parts)


def draw_choice(choice: Choice, runs: Sequence[Compared]) -> None:
    """The chosen runs, each with a way to take it out; the way to choose others; and the gallery's groups."""
    st.html("<div class='ps-side'>Runs side by side</div>")
    with st.container(gap="xxsmall"):
        for chosen, run in zip(choice.runs, runs, strict=True):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False, gap="small"):
                st.html(f"<div class='ps-chosen'>{glyph(run)} {escape(run.label)}</div>")
                others = [word for word in choice.words if word != chosen.word]
                st.button(layout.named("Remove", run.label), key=f"remove-{chosen.word}", type="tertiary", on_click=compared.choose,
                          args=(others,), disabled=len(runs) == 1, help="The last one stays." if len(runs) == 1 else None)
    st.button("Choose runs", key="choose", width="stretch", on_click=_open, args=(choice.words,))
    groups = compared.groups()
    if groups:
        st.html("<div class='ps-side'>Shipped: all methods at</div>")
        with st.container(horizontal=True, gap="small"):
            for pattern, words in groups.items():
                spec = resources.shipped()[words[0].removeprefix(SHIPPED)].spec
                st.button(findings.describe_pattern(spec.pattern), key=f"group-{pattern}", on_click=compared.choose, args=(words,))


def draw_dialog() -> None:
    """The table of all runs, while it is open."""
    if state.recall("choosing", False):
        st.dialog(f"Choose 2 to {MOST} runs", width="large", on_dismiss=partial(state.forget, "choosing"))(_draw_table)()


def _open(words: Sequence[str]) -> None:
    state.remember("choosing", True)
    state.remember("picked", tuple(words))
    _freeze()


def _freeze() -> None:
    """What is picked when the search changes stays in the table, on top: nothing that was picked is lost by searching."""
    state.remember("on-top", state.recall("picked", ()))
    state.remember("table", state.recall("table", 0) + 1)


def _draw_table() -> None:
    text = st.text_input("Show only", key="find", placeholder="thanos 2:4", on_change=_freeze,
                         help="Runs in whose line every word occurs. Picked runs stay on top.")
    top: tuple[str, ...] = state.recall("on-top", ())
    parts = (text or "").lower().split()
    offers = _offers()
    shown = [offers[word] for word in top if word in offers]
    shown += [offer for word, offer in offers.items() if word not in top and offer.fits(parts)]
    table = st.dataframe([offer.row for offer in shown], hide_index=True, column_config=_FORMATS, column_order=tuple(_FORMATS), height=380,
                         key=f"offers-{state.recall('table', 0)}", on_select="rerun", selection_mode="multi-row",
                         selection_default={"selection": {"rows": list(range(len([word for word in top if word in offers])))}},
                         alt="All finished runs, and the shipped ones")
    picked = [shown[row].word for row in table["selection"]["rows"] if row < len(shown)]
    state.remember("picked", tuple(picked))
    with st.container(horizontal=True, vertical_alignment="center"):
        fits = 2 <= len(picked) <= MOST
        if st.button("Compare", key="compare-picked", type="primary", disabled=not fits):
            compared.choose(picked)
            state.forget("choosing")
            st.rerun()
        more = f"of {numbers.count(len(offers))} runs" + ("" if fits else f"; choose 2 to {MOST}")
        layout.sentence(f"{len(picked)} {more}")


def _offers() -> dict[str, _Offer]:
    """Every run that can be compared, by its word: the store's in the order of the Runs page, then the gallery's."""
    found = {record.key: _Offer(word=record.key, row=_row(record.spec, record.pruned_perplexity, record.dense_perplexity,
                                                          record.counted_sparsity, record.ended, "pinned" if record.pinned else "runs"))
             for record in resources.store().runs(limit=_ALL, states=("finished",))}
    return found | {f"{SHIPPED}{name}": _Offer(word=f"{SHIPPED}{name}", row=_row(
        result.spec, result.pruned.perplexity, result.dense.perplexity, result.counted_sparsity, result.environment.started, "shipped"))
        for name, result in resources.shipped().items()}


def _row(spec: RunSpec, pruned: float | None, dense: float | None, sparsity: float | None, ended: float | None,
         origin: str) -> dict[str, object]:
    run, rest = _said(spec)  # pyright: ignore[reportArgumentType]  (a frozen noun has a hash)
    return {"run": run, "else": rest, "perplexity": pruned, "dense": dense,
            "sparsity": sparsity, "ended": datetime.fromtimestamp(ended, UTC) if ended else None, "from": origin}


@lru_cache(maxsize=4096)
def _said(spec: RunSpec) -> tuple[str, str]:
    """Kept, because each mark in the table draws it anew: hundreds of runs in words take a third of a second."""
    return findings.describe(spec), findings.describe_rest(spec)
