"""Choice of the evaluation text whose curves are shown, where runs were measured on several."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.curves.controls import PRE
from app.shared import state
from app.shared.fields import fields_of
from app.shared.sweeps.stored import measured_texts
from core.spec import Evaluation, RunSpec
from core.spec.flags import EVALUATION_WORDS


def draw(base: RunSpec) -> None:
    """The choice of a text where runs have measured several; each comes with its windows."""
    texts = {text.word: text for text in (base.evaluation, *base.further_evaluations, *measured_texts(base))}
    if len(texts) > 1:
        state.set_widget(f"{PRE}text", base.evaluation.word)
        st.selectbox("Perplexity on", list(texts), key=f"{PRE}text", on_change=_choose, args=(base, texts),
                     help="The texts on which runs like these were measured, with their windows.")


def _choose(base: RunSpec, texts: Mapping[str, Evaluation]) -> None:
    """Show another text's curves; further texts of the same runs stay with them."""
    chosen = texts[state.widget(f"{PRE}text")]
    others = [text.word for text in (base.evaluation, *base.further_evaluations) if text != chosen]
    for field in fields_of(Evaluation, EVALUATION_WORDS):
        state.set_widget(f"{PRE}{field.word}", getattr(chosen, EVALUATION_WORDS[field.word]))
    state.set_widget(f"{PRE}further_evaluations", others if base.further_evaluations else [])
