"""Runs side by side without a browser: what differs, what it led to, what must be said before it is believed."""

import itertools
import json
import math

import pytest

from app.shared import style, tables
from app.shared.charts import comparison
from app.shared.comparison import common_layers, compare, differences, equal_settings, what_differs
from app.shared.findings.cautions import cautions
from app.shared.findings.comparison import verdict
from core.spec import Calibration, make_method, parse_pattern
from tests.app.examples import layer, layers, result

THANOS, SPARSEGPT, WANDA = (make_method(name) for name in ("thanos", "sparsegpt", "wanda"))


def contrast(one, other):
    """WCAG's contrast ratio of two colors `#rrggbb`."""
    def light(color):
        parts = [int(color[at:at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def scaled(factor, optimum=0.5, blocks=3):
    """The layers of `layers()` with other errors, and optima that are a share of the common error."""
    return tuple(item.model_copy(update={"relative_error": factor * item.relative_error, "optimum_error": optimum * item.relative_error})
                 for item in layers(blocks))


def changed(found, **fields):
    return found.model_copy(update=fields)


@pytest.mark.parametrize(("specs", "labels", "told"), [
    ([{"method": SPARSEGPT}, {"method": THANOS}], ["SparseGPT", "Thanos"], "only the method differs"),
    ([{"method": THANOS}, {"method": make_method("thanos", block_size=64)}], ["Thanos · B 128", "Thanos · B 64"],
     "only the block size B differs"),
    ([{}, {"refit": True}], ["Thanos", "Thanos · exact refit"], "only the exact refit differs"),
    ([{}, {"calibration": Calibration(seed=3)}], ["Thanos · seed 0", "Thanos · seed 3"], "only the seed differs"),
    ([{}, {}], ["Thanos (1)", "Thanos (2)"], "nothing was asked differently"),
    ([{"method": WANDA}, {"method": make_method("thanos", block_size=64)}, {"method": make_method("thanos", block_size=32)}],
     ["Wanda", "Thanos · B 64", "Thanos · B 32"], "method and its own parameters differ"),
    ([{"pattern": parse_pattern("columns:0.3")}, {"pattern": parse_pattern("2:4"), "method": WANDA}],
     ["Thanos · 30 % columns", "Wanda · 2:4"], "method and pattern differ"),
    ([{"pattern": parse_pattern("0.5", alpha=0.1)}, {}], ["Thanos · α 0.1", "Thanos · α 0"], "outlier rows α and α budget differ"),
    ([{"model": "a/b"}, {}], ["a/b · Thanos", "demo · Thanos"], "only the model differs"),
])
def test_a_label_is_as_short_as_it_can_be_and_no_other_run_has_it(specs, labels, told):
    runs = compare([result(**spec) for spec in specs])
    assert [run.label for run in runs] == labels
    assert what_differs(runs) == told


def test_what_differs_is_told_and_what_is_alike_is_said_once():
    runs = compare([result(method=SPARSEGPT), result(method=THANOS, calibration=Calibration(windows=8))])
    assert {item.setting: item.values for item in differences(runs)} == {
        "Method": ("SparseGPT", "Thanos"), "Calibration windows": ("128", "8")}
    same = equal_settings(runs)
    assert "50 % of the weights" in same
    assert "damping λ 0.01" in same
    assert "calibration windows" not in same


def test_another_version_behind_the_same_name_is_told():
    other = result()
    later = changed(other, revisions=other.revisions.model_copy(update={"method": 2, "evaluation": "another text"}))
    assert [item.setting for item in differences(compare([other, later]))] == ["Evaluation text, contents", "Method's version"]


def test_color_is_never_alone_where_a_method_comes_twice():
    marks = style.run_marks(["thanos", "thanos", "wanda", "thanos", "admm1", "admm-grad"])
    assert marks[0] == style.method_mark("thanos")
    assert len({mark.symbol for mark in marks}) == len(marks)
    assert len({mark.color for mark in marks}) == len(marks)
    assert len({mark.dash for mark in marks[:2] + marks[3:4]}) == 3, "runs of one method differ in their lines, too"
    for theme, share in itertools.product(("light", "dark"), ("thanos", "magnitude", "sparsegpt")):
        for mark in style.run_marks([share] * 3):
            assert contrast(mark.color, style.INKS[theme].paper) > 1.5, (theme, mark)
    five = style.run_marks(["thanos"] * 5)  # as many as one method has patterns
    assert min(contrast(mark.color, ink.paper) for mark in five for ink in style.INKS.values()) > 2
    assert {mark.symbol for mark in style.run_marks(["magnitude"] * 6)} <= set(style.GLYPHS)


def test_the_verdict_is_computed():
    runs = compare([result(scaled(2.0), method=SPARSEGPT, pruned=16.0), result(scaled(1.0), method=THANOS, pruned=15.59)])
    text = verdict(runs)
    assert "Thanos has the lower perplexity, 15.59, 0.61 above the dense model's 14.98; SparseGPT ends at 16.00, 1.02 above." in text
    assert "Thanos has the lower error in 9 of 9 layers, 50.0 % lower in the median." in text
    assert "they would be alike" in text
    assert not cautions(runs)


@pytest.mark.parametrize(("optima", "told"), [
    ((0.5, 0.45), "10.0 % lower: little of it would remain"), ((0.5, 0.3), "part of the difference"),
    ((0.5, 0.25), "50.0 % lower: most of the difference is in the masks"), ((0.5, 0.8), "60.0 % higher: its mask is worse"),
])
def test_masks_and_weights_are_told_apart(optima, told):
    theirs, mine = (scaled(factor, optimum) for factor, optimum in zip((2.0, 1.0), optima, strict=True))
    assert told in verdict(compare([result(theirs, method=SPARSEGPT), result(mine)]))


@pytest.mark.parametrize(("values", "told"), [
    ((15.5, 15.5), "All end at perplexity 15.50, 0.52 above"), ((14.9, 15.5), "14.90, 0.08 below the dense"),
    ((math.inf, 15.5), "SparseGPT predicts nothing any more"), ((math.nan, math.inf), "SparseGPT and Thanos predict nothing"),
])
def test_perplexities_at_the_edges(values, told):
    runs = compare([result(method=SPARSEGPT, pruned=values[0]), result(pruned=values[1])])
    assert told in verdict(runs)
    assert comparison.perplexities(runs).to_json()


def test_three_runs_name_the_best_and_the_worst():
    runs = compare([result(scaled(2.0), method=SPARSEGPT, pruned=16.0), result(scaled(1.0), pruned=15.5),
                    result(scaled(3.0), method=WANDA, pruned=17.0)])
    assert "Thanos has the lowest perplexity, 15.50" in verdict(runs)
    assert "Wanda has the highest, 17.00" in verdict(runs)
    assert "least error in 9 of 9 layers" in verdict(runs)


def test_unequal_sparsity_is_told_from_a_tenth_of_a_point_on():
    def pair(other):
        return compare([result(), changed(result(method=WANDA), counted_sparsity=other)])

    assert not cautions(pair(0.5009))
    (told,) = cautions(pair(0.512))
    assert "Thanos (50.0 %), Wanda (51.2 %)" in told
    assert "1.2 points apart" in told
    assert "Thanos removes least" in told
    unequal = compare([result(pruned=15.0), changed(result(method=WANDA, pruned=16.0), counted_sparsity=0.6)])
    assert "this alone says little" in verdict(unequal)


def test_runs_that_share_a_value_are_named_together():
    first = result(method=SPARSEGPT)
    others = [changed(result(method=method), counted_sparsity=0.7) for method in (THANOS, WANDA)]
    (told,) = cautions(compare([first, *others]))
    assert "50.0 % (SparseGPT), 70.0 % (Thanos and Wanda) counted" in told
    assert "SparseGPT removes least" in told


def test_another_protocol_is_named_and_nothing_is_claimed():
    one = result(method=SPARSEGPT)
    fields = {"windows": 8, "dtype": "bfloat16"}
    other = changed(one, dense=one.dense.model_copy(update=fields), pruned=one.pruned.model_copy(update=fields))
    runs = compare([one, changed(other, spec=result().spec)])
    (told,) = cautions(runs)
    assert "windows: SparseGPT (2), Thanos (8)" in told
    assert "arithmetic: SparseGPT (float32), Thanos (bfloat16)" in told
    assert "lower perplexity" not in verdict(runs)
    assert "not measured alike" in comparison.perplexities(runs).layout.title.text


def test_other_models_calibrations_and_dense_values_are_told():
    one, two = result(method=SPARSEGPT), result()
    model = compare([one, changed(two, revisions=two.revisions.model_copy(update={"model": "other"}))])
    assert "Different models: all are called demo" in cautions(model)[0]
    tokens = compare([one, changed(two, calibration="4 windows of 8 tokens")])
    assert "Calibrated differently: SparseGPT (20 windows of 32 tokens), Thanos (4 windows" in cautions(tokens)[0]
    assert "lower error" not in verdict(tokens)
    dense = compare([one, result(dense=14.99)])
    assert "dense perplexity is not the same although the protocol is" in cautions(dense)[0]
    few = compare([result((layer(0, "mlp", 0.2, 0.1).model_copy(update={"tokens": 4}),), method=WANDA), two])
    assert any(text.startswith("Wanda: Only 4 calibration tokens") for text in cautions(few))


def test_layers_that_not_all_runs_have_are_left_out_and_counted():
    runs = compare([result(layers(3)), result(layers(2), method=WANDA)])
    assert len(common_layers(runs)) == 6
    assert "Not the same layers: Thanos (9), Wanda (6); 6 in common" in cautions(runs)[0]
    assert [row["layer"] for row in tables.compared_layers(runs)] == [item.name for item in layers(2)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blocks", [1, 3, 40])
def test_every_common_layer_is_drawn_for_every_run_beside_its_optimum(theme, blocks):
    runs = compare([result(scaled(2.0, blocks=blocks), method=SPARSEGPT), result(scaled(1.0, blocks=blocks))])
    figure = comparison.errors(runs, theme=theme)
    for run in runs:
        for field, name in (("relative_error", run.label), ("optimum_error", f"{run.label}, optimum")):
            (trace,) = (trace for trace in figure.data if trace.name == name)
            assert sorted(y for y in trace.y if y is not None) == sorted(getattr(item, field) for item in run.result.layers)
            assert trace.marker.symbol.endswith("-open") == (field == "optimum_error")
    solid = [trace for trace in figure.data if trace.name in ("SparseGPT", "Thanos")]
    assert list(solid[0].x) == list(solid[1].x)
    assert len({x for x in solid[0].x if x is not None}) == 3 * blocks
    assert list(figure.layout.xaxis.ticktext) == ["q_proj", "o_proj", "down_proj"]


def test_perplexities_are_drawn_from_dense_to_pruned():
    runs = compare([result(method=SPARSEGPT, pruned=16.25), result(pruned=100.0)])
    figure = comparison.perplexities(runs)
    marks = {trace.name: trace.x[0] for trace in figure.data if trace.name}
    assert marks == {"SparseGPT": 16.25, "Thanos": 100.0}
    assert figure.layout.xaxis.type == "log"
    assert any("2 windows of 32 tokens" in text.replace("<br>", " ") for trace in figure.data for text in trace.customdata or ())


def test_a_broken_model_stands_at_the_edge_and_does_not_flatten_the_others():
    runs = compare([result(method=SPARSEGPT, pruned=16.25), result(pruned=15.6), result(method=WANDA, pruned=4e5)])
    figure = comparison.perplexities(runs)
    (broken,) = (trace for trace in figure.data if trace.name == "Wanda")
    low, high = figure.layout.xaxis.range
    assert figure.layout.xaxis.type == "linear"
    assert 16.25 < broken.x[0] <= high < 18
    assert broken.marker.symbol == "arrow-right"
    assert "400 000.00" in broken.text[0]
    assert (16.25 - 15.6) / (high - low) > 0.15, "the difference of the others can be seen"


def test_runs_are_called_by_the_names_that_people_gave_them():
    results = [result(method=SPARSEGPT), result(method=THANOS), result(method=WANDA), result(method=WANDA, refit=True)]
    runs = compare(results, ["Baseline", "", "Mine", "Mine"])
    assert [run.label for run in runs] == ["Baseline", "Thanos", "Mine · Wanda", "Mine · Wanda · exact refit"]
    assert [run.label for run in compare(results[:2], ["Thanos", ""])] == ["Thanos · SparseGPT", "Thanos"]
    assert len({run.label for run in compare(results)}) == 4
    assert what_differs(runs[:2]) == "only the method differs"


def test_nothing_a_run_is_called_becomes_markup():
    runs = compare([result(model="a/<img src=x>"), result(model="b/<b>")])
    for figure in (comparison.perplexities(runs), comparison.errors(runs)):
        assert "<img" not in json.dumps(figure.to_plotly_json(), default=str)


def test_rows_to_take_away_hold_settings_and_numbers():
    runs = compare([result(method=SPARSEGPT), result()])
    assert [(row["run"], row["pruned perplexity"], row["Method"]) for row in tables.compared_rows(runs)] == [
        ("SparseGPT", 15.59, "SparseGPT"), ("Thanos", 15.59, "Thanos")]
    assert any("SparseGPT: calibration: 20 windows" in line for line in tables.compared_protocol(runs))


def test_every_method_stands_out_from_both_pages():
    for name, mark in style.METHOD_MARKS.items():
        for theme, ink in style.INKS.items():
            assert contrast(mark.color, ink.paper) > 2, (name, theme)
