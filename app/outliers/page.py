"""The page of outlier rows: the map of all layers, one layer's rows with the cut that α makes, and what it does."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.outliers import details, findings
from app.outliers.panels import draw_map, draw_rows, name_of
from app.outliers.questions import EnergySharesQuestion, LayerRowsQuestion
from app.shared import address, alpha_effect, answers, large_model, layer_choice, layout, numbers, run_page, state, whole_shapes
from cache.keys import PRUNING
from core.records.outlier_rows import EnergyShare
from core.spec import RunSpec

_SHOWN = 0.1  # the share of rows that the map is about while α is 0


def draw() -> None:
    """Draw the whole page, from its link."""
    spec = run_page.begin("outliers", "Which rows carry the layer?", own=("layer", "map"))
    _draw_good(spec)
    address.write(spec)


def _draw_good(spec: RunSpec | None) -> None:
    """Everything below the controls. Without a spec that can be used, the last one that could, dimmed."""
    good = spec or state.recall("outliers_spec", None)
    if good is None:
        return
    state.remember("outliers_spec", good)
    with st.container(key="outliers" if spec else "old-answer", gap="small"):
        _draw(good)


def _draw(spec: RunSpec) -> None:
    if whole_shapes.draw_alone(spec):
        return
    whole = large_model.is_whole(spec)
    if whole is None:
        return
    alpha = spec.pattern.outlier_rows or _SHOWN
    plain = RunSpec(**{name: value for name, value in spec if name not in PRUNING})
    found = answers.ask(EnergySharesQuestion(spec=plain, alpha=alpha), "energy-shares")
    answers.tell(found, "Reading the model and its calibration text")
    shares: Sequence[EnergyShare] | None = found.answer
    if not shares:
        layout.sentence("Here you will see in which layers a few rows hold most of the energy, which rows α keeps dense and which columns "
                        "may then go, and what that does to each layer's error and to perplexity, beside as many random rows.")
        return
    layer = _chosen(shares)
    large = next(item.large for item in shares if item.name == layer)
    rows = answers.ask(LayerRowsQuestion(spec=spec, layer=layer, first=large, behind=large and not spec.leaves_kept_weights),
                       "outlier-layer")
    if spec.random_rows is not None:
        layout.aside("This page compares the strongest rows with random ones by itself: “Random rows” on the left counts for "
                     "previews and runs on the other pages.")
    weighed = f" Outputs are weighed as the loss feels them (Fisher weighting {numbers.setting(spec.fisher)})." if spec.fisher else ""
    layout.sentence(_finding(shares, alpha, rows) + weighed)
    left, right = st.columns([0.42, 0.58], gap="medium")
    with left:
        draw_map(spec, shares, layer, alpha, whole=whole)
    with right:
        draw_rows(spec, shares, layer, rows)
    if whole:
        alpha_effect.draw(spec, layer)
    else:
        large_model.note("The effect of α on errors and on perplexity")
    if not rows.problem:
        details.draw(spec, rows.answer if rows.fits else None)


def _chosen(shares: Sequence[EnergyShare]) -> str:
    """The layer of the link, or the one whose strongest rows hold most; a name that is not there is told."""
    word, names = address.word("layer"), [item.name for item in shares]
    if word in names:
        return word
    usual = max(shares, key=lambda item: item.share).name
    if word:
        layer_choice.refuse(word, names, usual)
    return usual


def _finding(shares: Sequence[EnergyShare], alpha: float, rows: answers.Shown) -> str:
    text = findings.map_finding(shares, alpha)
    return text if not rows.fits else f"{text} {findings.layer_finding(rows.answer, name_of(shares, rows.answer.name))}"
