"""The controls of the Curves page. What they say becomes the words of app/curves/query.py, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import streamlit as st

from app.curves import guided, offered
from app.curves.guided_query import GUIDED
from app.curves.lists import MOST_SEEDS
from app.curves.offered import PRE, key
from app.curves.query import FIRST, TABS, VIEWS, Asked
from app.shared import link, resources, state, text_choice
from app.shared.charts.series import SCALES
from app.shared.charts.shapes import OVERS
from app.shared.controls import KINDS, beyond
from app.shared.fields import Field, draw, fields_of
from app.shared.sweeps.grid import FITTING_PATTERNS, SHAPE_PATTERNS, SHOWN_PATTERNS, Sweep
from core.spec import METHOD_LABELS, Calibration, Evaluation, RunSpec, parse_pattern
from core.spec.flags import CALIBRATION_WORDS, EVALUATION_WORDS, RUN_WORDS
from core.spec.patterns import AlphaBudget


@dataclass(frozen=True, kw_only=True)
class Form:
    """Request made by the controls. A control that cannot be used is reported and its default stands in."""

    asked: Asked
    complaints: tuple[str, ...]

    @property
    def sweep(self) -> Sweep:
        lists = self.asked.lists
        return Sweep(
            base=self.asked.base, methods=lists["methods"], patterns=lists["patterns"], seeds=tuple(range(int(lists["seeds"][0]))),
            block_sizes=tuple(int(text) for text in lists.get("block_sizes", ())) or (None,),
            alphas=tuple(float(text) for text in lists.get("alphas", ("0",))),
            budgets=cast("tuple[AlphaBudget, ...]", lists.get("budgets", ("paper",))), fitting=self.asked.tab == "shapes")


def fill(asked: Asked) -> None:
    """Set every control, before any is drawn; those of other tabs at the first visit only."""
    words = link.to_words(asked.base)
    state.set_widget(f"{PRE}tab", asked.tab)
    state.set_widget(f"{PRE}scale", asked.scale)
    state.set_widget(f"{PRE}over", asked.over)
    state.set_widget(f"{PRE}model", asked.base.model)
    guided.fill(asked.guided)
    for field in _BASE:
        state.set_widget(field.word, field.read(words.get(field.word.removeprefix(PRE))))
    first = not state.recall("curves_arrived", False)
    for tab, about in TABS.items():
        if tab != asked.tab and not first:
            continue
        for word, texts in (asked.lists if tab == asked.tab else about().lists).items():
            _set(tab, word, texts)
    _fit_shapes()


def draw_tabs() -> None:
    """Draw the choice of view, and its axis."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.segmented_control("View", list(TABS), key=f"{PRE}tab", format_func=lambda tab: TABS[tab].label, required=True,
                             label_visibility="collapsed", persist_state="session")
        st.segmented_control("Axis of perplexity", list(SCALES), key=f"{PRE}scale", format_func=SCALES.__getitem__, required=True,
                             label_visibility="collapsed", persist_state="session")


def draw_controls() -> None:
    """Model, methods, and what the view varies."""
    tab = _tab()
    names = list(dict.fromkeys(["demo", *(model.name for model in resources.models()), state.widget(f"{PRE}model") or "demo"]))
    st.selectbox("Model", names, key=f"{PRE}model", accept_new_options=True, persist_state="session",
                 on_change=_fit_shapes,
                 help="The shipped demo, a folder below PRUNESCOPE_MODELS, or type a hub id such as owner/name.")
    st.multiselect("Methods", TABS[tab].methods_offered(), key=key(tab, "methods"), format_func=METHOD_LABELS.__getitem__,
                   persist_state="session", help="Each with its own parameters as they are by default.")
    if tab == "sparsity":
        kind = st.segmented_control("Pattern: what may go", list(KINDS), key=f"{PRE}kind", format_func=KINDS.__getitem__, required=True,
                                    persist_state="session", width="stretch")
        offered.many("Sparsities" if kind in ("unstructured", "structured", "neurons") else "Patterns", tab,
                     f"patterns-{kind or 'unstructured'}", "Type another one, such as 55% or 3:8.")
    elif tab == "shapes":
        offered.many("Patterns", tab, "patterns", "Each method is asked for those that it can choose. Type others, such as neurons:0.4.")
        st.segmented_control("Across", list(OVERS), key=f"{PRE}over", format_func=OVERS.__getitem__, required=True, persist_state="session",
                             width="stretch", help="Parameters left after pruning, counted alike for zeros and for what is gone; or the "
                             "measured tokens a second, over the dense model's.")
    else:
        now = state.widget(key(tab, "patterns"))
        st.selectbox("Pattern: what may go", list(dict.fromkeys([*offered.USUAL_PATTERNS, *([now] if now else [])])),
                     key=key(tab, "patterns"), format_func=offered.pattern_label, accept_new_options=True, persist_state="session",
                     help=offered.PATTERN_HELP)
    if tab == "blocks":
        offered.many("Block sizes B", tab, "block_sizes", "Columns pruned at a time. Type another number.")
    if tab == "alpha":
        offered.many("Outlier rows α", tab, "alphas", "These shares of the rows stay dense. Type another number.")
        if not str(state.widget(key(tab, "patterns"))).startswith("col"):
            offered.draw_budgets(key(tab, "budgets"))
    st.number_input("Seeds", 1, MOST_SEEDS, key=key(tab, "seeds"), persist_state="session",
                    help="Each run as many times, with other calibration windows: what differs less than the seeds is a tie.")


def draw_more() -> None:
    """Draw what all points have in common: what goes beyond a layer; texts, windows, device."""
    group = beyond(_BASE, PRE)
    with st.expander("Beyond the layer", key="curves_beyond"):
        for field in group:
            draw(field)
    with st.expander("Texts, windows, device", key="curves_more"):
        for field in (field for field in _BASE if field not in group):
            (text_choice.draw if field.word in _TEXTS or field.kind == "several" else draw)(field)


def read() -> Form:
    """Request made by the controls."""
    tab = _tab()
    view, wrong = VIEWS.codec(tab).read({word: tuple(_texts(tab, word)) for word in VIEWS.parameters(tab)})
    found = {field.word.removeprefix(PRE): field.write(state.widget(field.word)) for field in _BASE}
    found["model"] = (state.widget(f"{PRE}model") or "").strip() or "demo"
    base, refused = link.check_words({word: text for word, text in found.items() if text is not None})
    per_input, odd = GUIDED.read(guided.words())
    asked = Asked.model_validate({"view": view, "guided": per_input, "base": base or RunSpec(),
                                  "scale": state.widget(f"{PRE}scale") or "auto",
                                  "over": state.widget(f"{PRE}over") or "parameters"})
    return Form(asked=asked, complaints=(*refused, *(str(item.reason) for item in (*wrong, *odd))))


def _fit_shapes() -> None:
    """Replace the patterns that are shipped for the demo by those for any model, or these by those, as the model asks for."""
    now, demo = tuple(state.widget(key("shapes", "patterns")) or ()), (state.widget(f"{PRE}model") or "demo") == "demo"
    if now == (FITTING_PATTERNS if demo else SHAPE_PATTERNS):
        _set("shapes", "patterns", SHAPE_PATTERNS if demo else FITTING_PATTERNS)


def _set(tab: str, word: str, texts: Sequence[str]) -> None:
    if word == "patterns" and tab == "sparsity":
        kind = parse_pattern(texts[0]).kind
        state.set_widget(f"{PRE}kind", kind)
        for other, usual in SHOWN_PATTERNS.items():
            state.set_widget(key(tab, f"patterns-{other}"), list(texts if other == kind else usual))
        state.remember(f"offered-{tab}-patterns-{kind}", tuple(texts))
    elif word == "seeds" or (word == "patterns" and tab != "shapes"):
        state.set_widget(key(tab, word), int(texts[0]) if word == "seeds" else texts[0])
    else:
        state.set_widget(key(tab, word), list(texts))
        state.remember(f"offered-{tab}-{word}", tuple(texts))


def _texts(tab: str, word: str) -> list[str]:
    """Texts of the widgets of a word."""
    if word == "patterns" and tab == "sparsity":
        kind = state.widget(f"{PRE}kind") or "unstructured"
        return [offered.of_kind(kind, text) for text in state.widget(key(tab, f"patterns-{kind}")) or ()]
    value: Any = state.widget(key(tab, word))
    return [str(item) for item in (value if isinstance(value, list | tuple) else () if value is None else (value,))]


def _tab() -> str:
    return state.widget(f"{PRE}tab") or FIRST


def _own(fields: Sequence[Field]) -> tuple[Field, ...]:
    return tuple(replace(field, word=f"{PRE}{field.word}") for field in fields)


_TEXTS = (f"{PRE}calibration", f"{PRE}evaluation")
_BASE = _own((
    *fields_of(Calibration, {word: name for word, name in CALIBRATION_WORDS.items() if word != "seed"}),
    *fields_of(Evaluation, EVALUATION_WORDS), *fields_of(RunSpec, {word: word for word in RUN_WORDS if word != "model"})))
