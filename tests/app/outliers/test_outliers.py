"""The sweep over α and its charts and words: what is asked, what the answers say, and that no winner is assumed."""

from dataclasses import replace

import numpy as np
import pytest

from app.outliers import gains
from app.outliers.charts import column_losses, column_rows, energy_map, row_rows, share_rows, sorted_rows
from app.outliers.findings import column_finding, layer_finding, map_finding
from app.shared import alpha_sweep, numbers
from app.shared.alpha_sweep import Reading, curve, difference, layer_questions, layer_readings, model_questions, model_readings, settled
from app.shared.charts.alpha_effect import alpha_effect, reading_rows
from app.shared.findings.alpha_effect import effect_finding, sparsity_warning
from core.records import Evaluated
from core.records.outlier_rows import ColumnFates, EnergyShare, LayerPoint, LayerRows, ModelPoint
from core.spec import Calibration, RunSpec, make_method, parse_pattern

COLUMNS = RunSpec(method=make_method("thanos"), pattern=parse_pattern("columns:0.3", alpha=0.12))
WEIGHTS = RunSpec(method=make_method("wanda"), pattern=parse_pattern("0.5", alpha=0.1))


def reading(alpha, value, kept="chosen", counted=0.3, seed=0, draw=None):
    return Reading(kept=kept, alpha=alpha, value=value, counted_sparsity=counted, seed=seed, draw=draw)


def view(count=2, columns=None):
    shares = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
    return LayerRows(name="model.layers.0.mlp.up_proj", shape=(5, 4), tokens=10, ranks=np.arange(5), rows=np.array([3, 0, 1, 2, 4]),
                     shares=shares, cumulative=shares.cumsum(), dense_rows=tuple(sorted([3, 0, 1, 2, 4][:count])),
                     held=float(shares[:count].sum()), error=0.01, counted_sparsity=0.3, error_without=0.02,
                     counted_without=0.3, columns=columns)


FATES = ColumnFates(losses=np.array([0.4, 0.1, 0.2, 0.3]), gone=np.array([False, True, True, False]),
                    gone_without=np.array([True, False, False, False]))
SHARES = tuple(EnergyShare(name=f"layers.{block}.{module}", block=block, module=module, rows=10, count=1, share=share)
               for block, module, share in ((0, "attn.q_proj", 0.5), (0, "mlp.up_proj", 0.2), (1, "attn.q_proj", 0.3)))


# What is asked.


def test_the_sweep_holds_the_alpha_that_is_asked_for_and_the_same_random_rows():
    asked = model_questions(COLUMNS, [4])
    assert [question.spec.pattern.outlier_rows for question in asked[:2]] == [0, 0.12]
    strongest = {question.spec.pattern.outlier_rows for question in asked if question.draw is None}
    assert strongest == {0, 0.05, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3}
    for draw in range(alpha_sweep.MODEL_DRAWS):
        assert {question.spec.pattern.outlier_rows for question in asked if question.draw == draw} == strongest - {0}
    assert {question.spec.calibration.seed for question in asked} == {4}
    assert len(model_questions(COLUMNS, range(3))) == 3 * len(asked)


@pytest.mark.parametrize("budget", ["paper", "iso"])
def test_both_budgets_are_asked_and_nothing_twice(budget):
    spec = WEIGHTS.model_copy(update={"pattern": parse_pattern("0.5", alpha=0.1, alpha_budget=budget)})
    for asked in (model_questions(spec, [0]), layer_questions(spec, "x")):
        assert {question.spec.pattern.alpha_budget for question in asked if question.spec.pattern.outlier_rows} == {"paper", "iso"}
        words = [question.model_dump_json() for question in asked]
        assert len(words) == len(set(words))
        assert {question.spec.pattern.alpha_budget for question in asked if not question.spec.pattern.outlier_rows} == {"paper"}
        assert sum(not question.spec.pattern.outlier_rows for question in asked) == 1


def test_moving_alpha_along_the_sweep_asks_nothing_new():
    first, second = (set(question.model_dump_json() for question in layer_questions(
        WEIGHTS.model_copy(update={"pattern": parse_pattern("0.5", alpha=alpha)}), "x")) for alpha in (0.1, 0.2))
    assert first == second


def test_groups_have_few_alphas_at_equal_sparsity():
    spec = RunSpec(method=make_method("wanda"), pattern=parse_pattern("2:4", alpha=0.1))
    other = [question.spec.pattern.outlier_rows for question in layer_questions(spec, "x") if question.spec.pattern.alpha_budget == "iso"]
    assert other == pytest.approx([1 / 3, 1 / 2])


# What the answers say.


def test_answers_become_readings():
    asked = layer_questions(WEIGHTS, "x")
    answers = [(question, LayerPoint(alpha=question.spec.pattern.outlier_rows, count=1, counted_sparsity=0.5, error=2.0,
                                     random=(3.0, 5.0)[:question.draws])) for question in asked]
    found = layer_readings(WEIGHTS, answers)
    assert {one.kept for one in found if one.alpha == 0.2} == {"chosen", "random", "other"}
    (spot,) = [spot for spot in curve(found, "random") if spot.alpha == 0.2]
    assert (spot.mean, spot.low, spot.high, spot.readings) == (4, 3, 5, 2)
    pruned = Evaluated(perplexity=7.0, tokens=10, windows=1, length=11, text="text", dtype="float32", text_sha256="0" * 64)
    points = [(question, ModelPoint(alpha=question.spec.pattern.outlier_rows, draw=question.draw, pruned=pruned, counted_sparsity=0.5,
                                    median_error=0.1, calibration="text", seconds=1.0)) for question in model_questions(WEIGHTS, [0])]
    kinds = [one.kept for one in model_readings(WEIGHTS, points)]
    assert kinds.count("random") == 3 * 6
    assert kinds.count("chosen") == 7
    assert kinds.count("other") == 6


def test_a_change_is_against_the_same_seed():
    found = [reading(0, 10), reading(0.1, 11), reading(0, 20, seed=1), reading(0.1, 18, seed=1), reading(0.1, 5, seed=2)]
    start, spot = curve(found, "chosen", change=True)
    assert (start.low, start.high) == (0, 0)
    assert (spot.low, spot.high, spot.readings) == pytest.approx((-0.1, 0.1, 2))
    assert curve(found, "random") == ()
    text = effect_finding(found[:4], 0.1, "perplexity", numbers.perplexity)
    assert "Lower in 1 of 2 calibration seeds" in text


@pytest.mark.parametrize(("value", "word"), [(9.0, "falls by 10.0 %"), (11.0, "rises by 10.0 %"), (10.001, "does not change to speak of")])
def test_the_sign_of_the_claim_is_computed(value, word):
    found = [reading(0, 10), reading(0.1, value), reading(0.2, 12), reading(0.1, 12, "random", draw=0), reading(0.1, 13, "random", draw=1)]
    text = effect_finding(found, 0.1, "perplexity", numbers.perplexity)
    assert f"perplexity {word}: 10.00 → {value:.2f}" in text
    assert ("It is least" in text) == (value > 10)
    assert "random rows it rises by 25.0 % (draws: +20.0 % to +30.0 %)" in text


def measured(alpha, losses, kept="chosen", **more):
    value = float(np.exp(np.mean(losses)))
    evaluated = Evaluated(perplexity=value, tokens=511 * len(losses), windows=len(losses), length=512, text="t", text_sha256="a",
                          dtype="float32", losses=tuple(map(float, losses)))
    return replace(reading(alpha, value, kept, **more), evaluated=evaluated)


BASE = np.random.default_rng(0).normal(3.4, 0.4, 64)
NOISE = np.random.default_rng(1).normal(0, 0.03, 64)


@pytest.mark.parametrize(("windows", "shift", "words"), [
    (4, -0.01, "cannot be told from a preview"), (64, -0.02, "perplexity falls by"), (64, 0.03, "perplexity rises by"),
    (64, 0.002, "cannot be told from a preview")])
def test_a_sign_is_told_only_where_the_windows_settle_it(windows, shift, words):
    changed = BASE + shift + NOISE - NOISE[:windows].mean()
    found = [measured(0, BASE[:windows]), measured(0.1, changed[:windows])]
    text = effect_finding(found, 0.1, "perplexity", numbers.perplexity)
    told = "cannot" not in words
    assert words in text
    assert settled(found, 0.1) == told
    assert ("Lower in" in text) is False
    assert f"{windows} windows" in text
    effect = difference(found, "chosen", 0.1)
    assert effect.nats == pytest.approx(shift, abs=1e-9)
    assert effect.text.lstrip("+−") in text


def test_random_rows_and_a_lower_point_are_told_apart_by_the_same_noise():
    found = [measured(0, BASE), measured(0.1, BASE - 0.05 + NOISE), measured(0.2, BASE - 0.052 + NOISE[::-1]), measured(0.3, BASE),
             *(measured(0.1, BASE + 0.001 * draw + NOISE[::-1], "random", draw=draw) for draw in range(3))]
    text = effect_finding(found, 0.1, "perplexity", numbers.perplexity)
    assert f"perplexity falls by {difference(found, 'chosen', 0.1).text.lstrip('−')}" in text
    assert "It is least" not in text, "α = 0.2 is lower by less than the noise"
    assert "With as many random rows the change cannot be told" in text


def test_without_an_alpha_the_best_of_the_sweep_is_told():
    text = effect_finding([reading(0, 10), reading(0.1, 12), reading(0.2, 11)], 0.0, "perplexity", numbers.perplexity)
    assert text.startswith("At α = 0.2, the best α above 0, perplexity rises by 10.0 %")
    assert text.endswith("It is least at α = 0.")
    readings = [reading(0, 10), reading(0.1, 12), reading(0.2, 9)]
    assert "It is least at α = 0.2 (9.00)." in effect_finding(readings, 0.1, "it", numbers.perplexity)
    text = effect_finding(readings, 0.0, "it", numbers.perplexity, whole=False)
    assert text.startswith("At α = 0.2, the best α above 0 so far, it falls")
    assert effect_finding([reading(0, 10)], 0.0, "perplexity", numbers.perplexity) == ""
    assert effect_finding([reading(0.1, 10)], 0.1, "perplexity", numbers.perplexity) == ""


def test_less_pruning_is_not_sold_as_an_effect():
    paper = [reading(0, 10, counted=0.5), reading(0.1, 9, counted=0.45)]
    text = effect_finding(paper, 0.1, "perplexity", numbers.perplexity)
    assert "fewer weights go: counted sparsity 50.0 % → 45.0 %" in text
    assert "equal" not in text
    both = [*paper, reading(0.1, 10.5, "other", counted=0.5)]
    text = effect_finding(both, 0.1, "perplexity", numbers.perplexity)
    assert "equal counted sparsity (50.0 %) perplexity rises by 5.0 %" in text
    assert "falls from 50.0 % to 45.0 %" in sparsity_warning(both)
    assert sparsity_warning([reading(0, 10), reading(0.1, 9)]) == ""


def test_a_layer_of_few_rows_keeps_the_budget_that_comes_nearer_to_equal_sparsity():
    kept = [reading(0, 10, counted=0.5), reading(0.1, 9, counted=0.49), reading(0.1, 8, "other", counted=0.44)]
    text = effect_finding(kept, 0.1, "perplexity", numbers.perplexity)
    assert "equal" not in text
    assert "falls by 10.0 %: 10.00 → 9.00. But fewer weights go: counted sparsity 50.0 % → 49.0 %" in text
    assert "whole numbers" in sparsity_warning(kept, "iso")


def test_words_about_rows_and_columns():
    assert "strongest 10 % of the rows hold from 20.0 % of a layer's energy (block 0, up_proj) to 50.0 % (block 0, q_proj)" in map_finding(
        SHARES, 0.1)
    assert "the 2 strongest rows of 5 stay dense, with 70.0 % of the energy: 1.75× an equal share" in layer_finding(view(), "it")
    assert "the strongest row of 5 stays dense" in layer_finding(view(1), "it")
    assert "all 5 rows stay dense" in layer_finding(view(5), "it")
    assert "no row stays dense" in layer_finding(view(0), "it")
    text = column_finding(view(columns=FATES))
    assert "2 of 4 columns go" in text
    assert "1 column that would go without them stays, and 2 go that would stay" in text
    assert column_finding(view()) == ""


# Charts.


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_map_takes_clicks_by_points_that_cannot_be_seen(theme):
    figure = energy_map(SHARES, "layers.0.mlp.up_proj", theme=theme)
    heat, points = figure.data
    assert list(points.customdata) == [item.name for item in SHARES]
    assert points.marker.opacity == points.selected.marker.opacity == 0
    assert points.hovertemplate
    assert heat.z[0][0] == 50
    assert np.isnan(heat.z[1][1])
    assert len(figure.layout.shapes) == 1
    assert share_rows(SHARES)[0]["energy_share"] == 0.5


@pytest.mark.parametrize("count", [0, 1, 5])
def test_rows_are_told_by_rank_with_the_cut(count):
    figure = sorted_rows(view(count))
    assert sum(len(trace.x) for trace in figure.data) == 5
    assert figure.layout.shapes[0].x0 == count
    kept = next((trace for trace in figure.data if trace.name.startswith("stay")), None)
    assert (len(kept.x) if kept else 0) == count
    for trace in figure.data:
        assert list(trace.customdata) == [x + 0.5 for x in trace.x], "a press on a row cuts behind it"
    assert [row["dense"] for row in row_rows(view(count))].count(True) == count


def test_columns_whose_fate_the_kept_rows_decide_are_in_the_accent():
    figure = column_losses(view(columns=FATES))
    assert {trace.name: list(trace.x) for trace in figure.data} == {
        "go only with outlier rows: 2": [1, 2], "stay only with outlier rows: 1": [4], "stay: 1": [3]}
    assert [row["goes"] for row in column_rows(view(columns=FATES))] == [False, True, True, False]


def test_all_curves_begin_at_the_same_point_and_bands_span_the_draws():
    found = [reading(0, 10), reading(0.1, 9), reading(0.1, 11, "random", draw=0), reading(0.1, 13, "random", draw=1)]
    figure = alpha_effect(found, 0.1, title="perplexity", show=numbers.perplexity, labels=("strongest", "other"))
    lines = {trace.name: list(trace.y) for trace in figure.data if trace.mode == "lines+markers"}
    assert lines == {"as many random rows": [10, 12], "strongest": [10, 9]}
    (band,) = [trace for trace in figure.data if trace.fill]
    assert list(band.y) == [10, 13, 11, 10]
    assert len(reading_rows(found, {"chosen": "a", "random": "b", "other": "c"}, "perplexity")) == 4


def test_without_a_point_no_axis_pretends_to_know_a_scale():
    told = {"title": "perplexity", "show": numbers.perplexity, "labels": ("strongest", ""), "waiting": "being solved"}
    empty = alpha_effect([], 0.1, **told)
    assert [note.text for note in empty.layout.annotations] == ["being solved"]
    assert empty.layout.yaxis.showticklabels is False
    known = alpha_effect([reading(0, 10)], 0.1, **told)
    assert not known.layout.annotations
    assert known.layout.yaxis.showticklabels is not False


def test_seeds_are_another_text():
    asked = model_questions(COLUMNS.model_copy(update={"calibration": Calibration(windows=4)}), [1, 2])
    assert {question.spec.calibration for question in asked} == {Calibration(windows=4, seed=1), Calibration(windows=4, seed=2)}


# Where α pays.


def gain_of(without, strongest, random):
    """Of one layer; a value a seed, and the draws of each."""
    shares = [EnergyShare(name="model.layers.3.mlp.up_proj", block=3, module="mlp.up_proj", rows=10, count=1, share=0.5)]
    asked = gains.questions(COLUMNS, shares, 0.1, range(len(without)))
    points = [LayerPoint(alpha=alpha, count=round(10 * alpha), counted_sparsity=0.3, error=error, random=draws)
              for none, kept, values in zip(without, strongest, random, strict=True)
              for alpha, error, draws in ((0.0, none, ()), (0.1, kept, values))]
    (found,) = gains.gains(shares, zip(asked, points, strict=True))
    return found


@pytest.mark.parametrize(("without", "strongest", "random", "verdict", "beyond"), [
    ([0.2], [0.15], [(0.21, 0.19)], "pays", True), ([0.2], [0.15], [(0.14, 0.21)], "pays", False),
    ([0.2], [0.199], [(0.21,)], "tie", True), ([0.2], [0.21], [(0.2,)], "costs", False),
    ([0.2, 0.2], [0.15, 0.22], [(0.3,), (0.3,)], "tie", True), ([0.2, 0.4], [0.15, 0.3], [(0.3,), (0.29,)], "pays", False)])
def test_alpha_pays_where_all_seeds_say_so(without, strongest, random, verdict, beyond):
    found = gain_of(without, strongest, random)
    assert (found.verdict, found.beyond_random) == (verdict, beyond)
    assert found.changes == pytest.approx([kept / none - 1 for kept, none in zip(strongest, without, strict=True)])


def test_the_map_of_gains_is_asked_at_equal_counted_sparsity():
    shares = [EnergyShare(name=name, block=0, module=name, rows=10, count=1, share=0.5) for name in ("a", "b")]
    asked = gains.questions(WEIGHTS, shares, 0.1, (0, 1))
    assert [(one.layer, one.spec.pattern.outlier_rows, one.spec.calibration.seed) for one in asked] == [
        (layer, alpha, seed) for seed in (0, 1) for layer in ("a", "b") for alpha in (0.0, 0.1)]
    assert {one.spec.pattern.alpha_budget for one in asked if one.spec.pattern.outlier_rows} == {"iso"}
    assert {one.draws for one in asked} == {alpha_sweep.LAYER_DRAWS}


def test_the_map_of_gains_says_what_pays_and_what_random_rows_do():
    paying, starred = gain_of([0.2], [0.15], [(0.21, 0.19)]), gain_of([0.2], [0.15], [(0.14, 0.15)])
    tie, cost = gain_of([0.2], [0.2], [(0.2,)]), gain_of([0.2], [0.25], [(0.3,)])
    words = gains.finding([paying, starred, tie, cost], 0.1)
    assert "lowers the error in 2 of 4 layers, raises it in 1, and changes it by less than 1.0 % in 1" in words
    assert "In 1 of these 2 some draw of random rows does as well" in words
    assert "All draws of as many random rows lower it in 1 layer." in words
    found = [replace(gain, block=block) for block, gain in enumerate((paying, starred, tie, cost))]
    found = [replace(gain, name=f"model.layers.{gain.block}.mlp.up_proj") for gain in found]
    shares = [EnergyShare(name=f"model.layers.{block}.mlp.up_proj", block=block, module="mlp.up_proj", rows=10, count=1, share=0.5)
              for block in range(5)]
    figure = gains.gain_map(shares, found, shares[0].name)
    assert [note.text for note in figure.layout.annotations] == ["−25", "−25*", "=", "+25", ""]
    assert figure.data[0].z[0].tolist() == pytest.approx([25, 25, 0, -25, np.nan], nan_ok=True)
    assert gains.gain_rows([paying])[0]["error_random_mean"] == pytest.approx(0.2)
    assert gains.finding([], 0.1) == ""
