"""Effect of keeping outlier rows on a layer's error and on perplexity, point by point as the answers come, with its controls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean

import streamlit as st

from app.shared import alpha_points, alpha_run_button, alpha_runs, alpha_sweep, answers, estimates, layout, numbers, resources, state
from app.shared.alpha_sweep import SEEDS, Kept, Reading
from app.shared.answers import Gathered
from app.shared.chart_downloads import take_away
from app.shared.charts.alpha_effect import alpha_effect, reading_rows
from app.shared.findings import facts as figure_facts
from app.shared.findings.alpha_effect import effect_finding, sparsity_warning
from app.shared.plot import plot
from app.shared.style import chart_config
from core.records.outlier_rows import ModelPoint
from core.spec import RunSpec

_HEIGHT = 262
_POLL = 0.5
_LAYER_FIRST = "This layer is being solved at each α,<br>with the strongest rows<br>and with random ones."
_MODEL_FIRST = ("Once this layer's points are there,<br>every layer is solved without<br>outlier rows, and the preview's<br>"
                "windows are read.")


def draw(spec: RunSpec, layer: str, *, height: int = _HEIGHT) -> None:
    """Both charts; they look again by themselves while points are missing."""
    waiting = alpha_points.waiting(*alpha_points.gather(spec, layer))
    st.fragment(_draw, run_every=_POLL if waiting else None)(spec, layer, waiting, height)


def facts(spec: RunSpec) -> list[tuple[str, str]]:
    """Protocol of the points."""
    point: ModelPoint | None = next((point for _, point in alpha_points.model_points(spec).answers), None)
    measured = [] if point is None else [("Perplexity", f"{point.pruned.protocol}; more windows are read while the sign is not settled"),
                                         ("Calibration", point.calibration)]
    even = [] if spec.allocation == "even" else [("Allocation", "even here: every layer loses the same share, whatever the left says")]
    return [
        *measured, *even,
        ("Row energy", "hᵢ = Wᵢ G Wᵢᵀ, exact, over all calibration tokens; G is the dense model's"),
        ("Points", "every layer is solved from the dense model's Gram matrices by the method chosen on the left, as in a preview"),
        ("Random rows", f"as many rows of each layer drawn at random: {alpha_sweep.LAYER_DRAWS} draws for the layer, "
         f"{alpha_sweep.MODEL_DRAWS} for perplexity; line: mean, band: least to greatest"),
        ("Equal sparsity", "whole columns: ⌈p·b/(1−α)⌉ go, so the total stays p. Otherwise the other rows are pruned at p (less in "
         "total), or harder, so that the total stays p: both are drawn"),
        *figure_facts.weighed(spec),
    ]


def _draw(spec: RunSpec, layer: str, waited: bool, height: int) -> None:
    of_layer, of_model = alpha_points.gather(spec, layer)
    if waited != alpha_points.waiting(of_layer, of_model):  # a button in here has asked for more, or all is there: look again, or no longer
        st.rerun()
    if not waited and not of_layer.answers and not of_model.answers:
        _draw_problems((*of_layer.problems, *of_model.problems), "None of the points over α can be computed.")
        return
    alpha = spec.pattern.outlier_rows
    errors = alpha_sweep.layer_readings(spec, of_layer.answers)
    scale = _scale(spec, of_model)
    perplexities = alpha_sweep.model_readings(spec, of_model.answers, scale or 1.0)
    runs = alpha_runs.look(spec, _compared(perplexities, alpha), alpha_points.seeds(spec))
    left, right = st.columns(2, gap="medium")
    with left:
        _draw_chart("layer", errors, alpha, "this layer's error", spec, "this layer's relative error", height,
                    whole=not of_layer.waiting, coming="" if of_layer.problems and not of_layer.waiting else _LAYER_FIRST)
        take_away("layer-error-over-alpha", partial(reading_rows, errors, _names(spec), "relative_error"), (spec.title, layer))
    with right:
        _draw_chart("model", perplexities, alpha, "perplexity", spec, _protocol(of_model, scaled=scale is not None), height, runs.readings,
                    whole=len(of_model.answers) == len(alpha_sweep.model_questions(spec, alpha_points.seeds(spec))),
                    coming="" if of_model.problems and not of_model.waiting else _MODEL_FIRST)
        take_away("perplexity-over-alpha", partial(reading_rows, perplexities, _names(spec), "perplexity"),
                  (spec.title, _protocol(of_model, scaled=scale is not None), "every layer solved from the dense model's Gram matrices"))
    warning = sparsity_warning(errors, spec.pattern.budget)
    if warning:
        layout.aside(warning)
    _draw_progress(spec, of_layer, of_model)
    alpha_run_button.draw(runs)


def _compared(readings: Sequence[Reading], alpha: float) -> float:
    """The α that is compared with none: the one asked for, else the best of the preview; 0 while that is not known."""
    found = None if alpha else alpha_sweep.claim(readings, 0.0)
    return found[1] if found else alpha


def _draw_chart(name: str, readings: tuple[Reading, ...], alpha: float, what: str, spec: RunSpec, protocol: str, height: int,
                runs: Sequence[Reading] = (), *, whole: bool, coming: str) -> None:
    """One of the charts. `coming`: what its place says while there is no point yet; empty if none will come. `runs`: finished ones, which
    have the word where they were made at this α."""
    change = len({reading.seed for reading in readings}) > 1
    show = estimates.shown if name == "model" else numbers.error
    finding = effect_finding(readings, alpha, what, show, whole=whole)
    at = _compared(readings, alpha)
    if at and alpha_sweep.claim(runs, at) in (("chosen", at), ("other", at)):
        finding = effect_finding(runs, at, what, numbers.perplexity, runs=True)
    title = "perplexity" if name == "model" else "layer error"
    axis = "≈ perplexity" if name == "model" else "relative error"
    layout.sentence(finding or f"What α does to {what}: {'being computed …' if coming else 'no point could be computed.'}")
    plot(
        alpha_effect(readings, alpha, title=axis, show=_percent if change else show, labels=_labels(spec), change=change,
                     protocol=protocol, waiting=coming, runs=runs, theme=layout.theme(), height=height),
        key=f"alpha-{name}", config=chart_config(f"{title.replace(' ', '-')}-over-alpha"), alt=finding or f"{title} over α")


def _draw_progress(spec: RunSpec, of_layer: Gathered, of_model: Gathered) -> None:
    """Draw the points still to come, those that failed, and the button that asks for more."""
    questions = alpha_sweep.model_questions(spec, alpha_points.seeds(spec))
    problems = (*of_layer.problems, *of_model.problems)
    _draw_problems(problems, f"{numbers.plural(len(problems), 'point')} cannot be computed.")
    left = len(questions) - len(of_model.answers) - len(of_model.problems)
    seconds = alpha_points.seconds_left(of_model, len(questions))
    if of_model.waiting and not left:
        layout.aside("On these windows the sign of the effect is not settled: "
                     f"{numbers.plural(of_model.waiting, 'point')} to be measured on more windows.")
    elif of_model.waiting:
        layout.aside(f"{numbers.plural(left, 'point')} of {len(questions)} to come"
                     + (f", about {numbers.seconds(seconds)}." if of_model.answers else "."))
    elif left and not of_layer.waiting:
        st.button(f"Compute the other {numbers.plural(left, 'point')} (about {numbers.seconds(seconds)})", key="alpha-more",
                  on_click=partial(state.remember, "alpha_wanted", alpha_points.sweep_of(spec)))
    elif of_model.answers and len(alpha_points.seeds(spec)) == 1:
        more = (SEEDS - 1) * fmean(point.seconds for _, point in of_model.answers) * len(questions)
        st.button(f"Repeat with {SEEDS} calibration seeds (about {numbers.seconds(more)} and the reading of the text)", key="alpha-seeds",
                  on_click=partial(state.remember, "alpha_seeds", alpha_points.sweep_of(spec)),
                  help="Which windows of text calibrate the method is chance. One seed cannot tell an effect from it.")


def _draw_problems(problems: Sequence[str], title: str) -> None:
    if problems:
        layout.note(problems[0], tone="bad", title=title)
        st.button("Try again", key="alpha-again", on_click=_again)


def _again() -> None:
    for place in (alpha_points.LAYER, alpha_points.MODEL):
        answers.retry(place)


def _labels(spec: RunSpec) -> tuple[str, str]:
    mine, _ = alpha_sweep.budgets(spec)
    if mine is None:
        return "strongest rows stay", ""
    words = {"paper": "strongest rows stay, others at p", "iso": "strongest rows stay, total kept"}
    return words[mine], words["iso" if mine == "paper" else "paper"]


def _names(spec: RunSpec) -> dict[Kept, str]:
    mine, other = alpha_sweep.budgets(spec)
    return {"chosen": f"strongest{f' ({mine})' if mine else ''}", "random": "random", "other": f"strongest ({other})"}


def _scale(spec: RunSpec, found: Gathered) -> float | None:
    return estimates.scale(resources.dense(spec), found.answers[0][1].pruned) if found.answers else None


def _protocol(found: Gathered, *, scaled: bool) -> str:
    if not found.answers:
        return ""
    measured = found.answers[0][1].pruned
    return f"{estimates.origin(measured, scaled=scaled)}; {measured.text}"


def _percent(change: float) -> str:
    return f"{numbers.change(change, numbers.fine_percent)} against α = 0"
