"""Figures without a browser: what is drawn is what the records say, in both themes, with a second cue beside color."""

import csv
import io
import json
import math

import pytest

from app.shared import numbers, style, tables
from app.shared.charts import axes
from app.shared.charts.axes import share_axis
from app.shared.charts.layer_errors import layer_errors
from app.shared.findings import facts, wording
from app.shared.style import OPTIMUM, readable
from core.records import PlannedLayer
from core.spec import METHODS, Calibration, Evaluation, RunSpec, make_method, parse_pattern
from tests.app.examples import layer, layers, result


def drawn(figure, solid=True):
    """(block, error) of every filled mark, or of every hollow one."""
    return sorted((round(x), y) for trace in figure.data
                  if trace.customdata is not None and trace.marker.symbol.endswith("-open") != solid
                  for x, y in zip(trace.x, trace.y, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blocks", [1, 3, 40])
def test_every_layer_is_drawn_beside_its_optimum(theme, blocks):
    found = layers(blocks)
    figure = layer_errors(found, theme=theme)
    assert drawn(figure) == sorted((item.block, item.relative_error) for item in found)
    assert drawn(figure, solid=False) == sorted((item.block, item.optimum_error) for item in found)
    assert figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text
    assert figure.layout.title.text


def test_modules_share_a_block_without_hiding_each_other():
    figure = layer_errors(layers(2))
    places = [x for trace in figure.data if trace.customdata is not None and trace.showlegend is None for x in trace.x]
    assert len(set(places)) == len(places)
    assert all(abs(x - round(x)) < 0.5 for x in places)


def test_hover_gives_exact_value_and_protocol():
    figure = layer_errors([layer(0, "mlp.up", 0.123456, 0.04, damping=0.1, dense_rows=2)], calibration="20 windows of 32 tokens")
    text = next(trace.text[0] for trace in figure.data if trace.text is not None)
    for part in ("model.layers.0.mlp.up", "8 × 12", "0.123", "0.0400", "3.1×", "50.0 %", "2 rows", "λ = 0.1", "20 windows of 32"):
        assert part in text


def test_hover_names_an_optimum_that_is_an_estimate():
    for more, words in (({}, None), ({"optimum_rows": 4, "optimum_spread": 0.001}, "estimate from 4 of 8 rows, ± 2.5 %")):
        figure = layer_errors([layer(0, "mlp.up", 0.12, 0.04, **more)])
        text = next(trace.text[0] for trace in figure.data if trace.text is not None)
        assert ("estimate" in text) == bool(words)
        assert words is None or words in text


def test_an_optimum_that_was_left_out_has_no_mark_and_is_said_to_be():
    left_out = [layer(block, "mlp.up", 0.12, None) for block in range(2)]
    figure = layer_errors(left_out)
    assert not any(trace.name == f"hollow: {OPTIMUM}" for trace in figure.data)
    assert any(trace.name == f"{OPTIMUM}: not computed" for trace in figure.data)
    hollow = next(trace for trace in figure.data if (trace.name or "").endswith(", optimum"))
    assert all(math.isnan(y) for y in hollow.y)
    assert "not computed" in hollow.text[0]
    assert "best possible" not in figure.layout.title.text
    mixed = layer_errors([*left_out, layer(0, "mlp.up", 0.12, 0.04)])
    assert any(trace.name == f"hollow: {OPTIMUM}" for trace in mixed.data)
    json.loads(mixed.to_json())


def test_the_axis_is_logarithmic_when_small_errors_would_vanish():
    assert layer_errors(layers()).layout.yaxis.type == "linear"
    small = [layer(3, name, error, best) for name, error, best in (("mlp.down_proj", 0.9, 1e-3), ("mlp.up", 0.3, 1e-4), ("o", 0.1, 1e-5))]
    wide = layer_errors([*layers(), *small]).layout.yaxis
    assert wide.type == "log"
    assert wide.range[0] < math.log10(1e-5)
    assert wide.range[1] > math.log10(0.9)
    assert {"0.001", "1·10<sup>−5</sup>"} <= set(wide.ticktext)


@pytest.mark.parametrize("found", [[], [layer(0, "mlp", 0.0, 0.0)], [layer(0, "mlp", 0.3, 0.0)], [layer(0, "mlp", math.inf, 0.1)]])
def test_nothing_and_nothing_wrong_can_be_drawn(found):
    assert layer_errors(found).to_json()


def test_a_growing_chart_keeps_its_axis():
    assert list(layer_errors(layers(1), blocks=6).layout.xaxis.range) == [-0.6, 5.6]


def test_color_is_never_alone():
    assert set(style.METHOD_MARKS) >= set(METHODS)
    marks = list(style.METHOD_MARKS.values())
    assert len({(mark.symbol, mark.dash) for mark in marks}) == len(marks)
    many = style.module_marks(f"m{i}" for i in range(40))
    assert len({(mark.color, mark.symbol) for mark in many.values()}) == 40


def test_light_and_dark_differ_where_it_matters():
    light, dark = (style.template(theme).layout for theme in ("light", "dark"))
    assert light.font.color != dark.font.color
    for layout in (light, dark):
        assert readable([layout.paper_bgcolor], 0) != readable([layout.font.color], 0), "a chart saved as PNG has its own ground"
    assert style.dense_mark("light").color != style.dense_mark("dark").color


@pytest.mark.parametrize(("value", "text"), [
    (14.978, "14.98"), (12345.678, "12 345.68"), (3e7, "3.00·10⁷"), (math.inf, "infinite"), (math.nan, "infinite")])
def test_perplexity(value, text):
    assert numbers.perplexity(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (0.0123456, "0.0123"), (0.5, "0.500"), (12.345, "12.3"), (0, "0"), (1.5e-7, "1.50·10⁻⁷"), (123456.0, "123456"),
    (math.inf, "infinite")])
def test_errors_have_three_digits(value, text):
    assert numbers.error(value) == text


@pytest.mark.parametrize(("function", "value", "text"), [
    (numbers.percent, 0.5, "50.0 %"), (numbers.seconds, 4.12, "4.1 s"), (numbers.seconds, 59.7, "1 min 00 s"),
    (numbers.seconds, 7801, "2 h 10 min"), (numbers.size, 612e6, "612 MB"), (numbers.size, 1.24e9, "1.2 GB"),
    (numbers.count, 12800, "12 800"), (numbers.count, 4_740_000, "4.74 M"), (numbers.count, 6_740_000_000, "6.74 G"),
    (numbers.over_optimum, 1.4, "2.4×"), (numbers.over_optimum, 0.031, "1.03×"), (numbers.over_optimum, math.inf, "∞×")])
def test_units(function, value, text):
    assert function(value) == text


def test_the_finding_is_computed():
    text = wording.finding(result())
    assert "Thanos leaves 2.0× the best possible error" in text
    assert "Worst layer: 2.mlp.down_proj with error 0.0500, 2.0× its optimum" in text
    assert "Perplexity rises by 4.1 %" in text


@pytest.mark.parametrize(("found", "more", "told"), [
    ([layer(0, "mlp", 0.1, 0.1)], {}, "reaches the best possible error"),
    ([layer(0, "mlp", 0.1, 0.1)], {"refit": True}, "Thanos with refit"),
    ([layer(0, "mlp", 0.1, 0.1)], {"update": "sweep"}, "Thanos's mask with the update SparseGPT's sweep reaches"),
    ([layer(0, "mlp", 0.1, 0.0)], {}, "none was needed"),
    ([layer(0, "mlp", 0.0, 0.0)], {}, "changes no layer's output"),
    ([layer(0, "mlp", 0.2, 0.1)], {"pruned": 14.98}, "stays the same"),
    ([layer(0, "mlp", 0.2, 0.1)], {"pruned": 14.0}, "falls by 6.5 %"),
    ([layer(0, "mlp", 0.2, 0.1)], {"pruned": 4000.0}, "it is broken"),
    ([layer(0, "mlp", 0.2, 0.1)], {"pruned": math.inf}, "predicts nothing"),
])
def test_findings_at_the_edges(found, more, told):
    assert told in wording.finding(result(tuple(found), **more))


@pytest.mark.parametrize(("spec", "coupled"), [
    ({"method": make_method("frontier"), "fisher": 0.5}, True), ({"method": make_method("frontier")}, False),
    ({"method": make_method("frontier"), "fisher": 0.5, "refit": True}, False), ({"method": make_method("obc"), "fisher": 0.5}, False),
])
def test_an_error_that_was_given_up_for_the_loss_says_so(spec, coupled):
    assert ("outputs compensate for each other, weighted by the loss" in wording.finding(result(**spec))) == coupled
    told = dict(facts.measured(result(**spec)))
    assert ("Fisher weighting" in told) == bool(spec.get("fisher"))
    if "fisher" in spec:
        assert ("outputs compensate for each other" in told["Fisher weighting"]) == coupled


@pytest.mark.parametrize(("spec", "text"), [
    ({}, "demo · Thanos · 50 % of the weights · B = 128"),
    ({"pattern": parse_pattern("2:4")}, "demo · Thanos · 2:4 · B = 512"),
    ({"pattern": parse_pattern("columns:0.3", alpha=0.1), "method": make_method("wanda")},
     "demo · Wanda · 30 % of the columns · α = 0.1"),
    ({"pattern": parse_pattern("0.4", alpha=0.2, alpha_budget="iso"), "refit": True},
     "demo · Thanos · 40 % of the weights · B = 128 · α = 0.2 (total kept) · exact refit"),
    ({"propagation": 0.5}, "demo · Thanos · 50 % of the weights · B = 128 · error propagation 0.5"),
    ({"fisher": 0.5}, "demo · Thanos · 50 % of the weights · B = 128 · Fisher weighting 0.5"),
    ({"reconstruct": 4}, "demo · Thanos · 50 % of the weights · B = 128 · reconstruction in 4 passes"),
    ({"reconstruct": 1, "reconstruct_aim": "block"},
     "demo · Thanos · 50 % of the weights · B = 128 · reconstruction in 1 pass toward the dense block"),
    ({"allocation": "marginal", "method": make_method("wanda")}, "demo · Wanda · 50 % of the weights · shared out between layers"),
])
def test_a_run_in_a_line(spec, text):
    assert wording.describe(RunSpec(**spec)) == text


def test_the_csv_holds_every_layer_in_full_precision_and_its_protocol():
    found = result()
    text = tables.layers_csv(found)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(line for line in text.splitlines() if not line.startswith("#")))))
    assert any(found.pruned.protocol in line for line in comments)
    assert [float(row["relative_error"]) for row in rows] == [item.relative_error for item in found.layers]
    assert [row["layer"] for row in rows] == [item.name for item in found.layers]


def test_what_is_taken_away_carries_its_protocol_and_can_be_read_again():
    rows = [{"layer": "a", "error": 0.1 + 0.2}, {"layer": 'b, "quoted"', "error": math.inf, "more": None}]
    text = tables.rows_csv(rows, ["two\nlines,\r1", "p"])
    assert text.splitlines()[:2] == ["# two lines, 1", "# p"]
    read = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    assert [(row["layer"], float(row["error"]), row["more"]) for row in read] == [("a", 0.1 + 0.2, ""), ('b, "quoted"', math.inf, "")]
    whole = json.loads(tables.rows_json(rows, ["p"]), parse_constant=pytest.fail)
    assert whole == {"protocol": ["p"], "rows": [rows[0], {**rows[1], "error": "Infinity"}]}


def test_too_few_tokens_are_told():
    assert wording.caution(result()) == ""
    few = wording.caution(result((layer(0, "mlp", 0.2, 0.1).model_copy(update={"tokens": 10}),)))
    assert "Only 10 calibration tokens" in few
    assert "12 inputs" in few


@pytest.mark.parametrize(("spec", "text"), [
    ({}, ""),
    ({"calibration": Calibration(windows=32, seed=4)}, "calibration 32 windows seed 4"),
    ({"method": make_method("thanos", damping=0.1), "evaluation": Evaluation(source="text:a.txt", windows=8, length=64)},
     "damping 0.1, evaluation text:a.txt 8 windows of 64 tokens"),
    ({"method": make_method("thanos", damping=0), "calibration": Calibration(windows=1, length=32), "evaluation": Evaluation(windows=1)},
     "no damping, calibration 1 window of 32 tokens, evaluation 1 window"),
    ({"calibration": Calibration(bos="none"), "evaluation": Evaluation(windows=8, bos="every-window")},
     "calibration BOS token none, evaluation 8 windows BOS token every-window"),
])
def test_what_else_is_not_the_default(spec, text):
    assert wording.describe_rest(RunSpec(**spec)) == text


def test_planned_rows_count_the_zeros():
    rows = tables.planned_rows([PlannedLayer(name="a", block=0, module="a", rows=4, columns=6, pruned=12, dense_rows=0)])
    assert rows[0]["zeros"] == 12
    assert rows[0]["share"] == 0.5


@pytest.mark.parametrize(("low", "high"), [(29.3, 32.2), (0.0051, 0.0056), (100.0, 101.0), (30.0, 63.0), (1e-4, 3.0)])
def test_a_logarithmic_axis_has_labels_wherever_it_ends(low, high):
    axis = axes.log_axis(low, high)
    first, last = axis["range"]
    assert first < math.log10(low) < math.log10(high) < last
    inside = [text for value, text in zip(axis["tickvals"], axis["ticktext"], strict=True) if first <= math.log10(value) <= last]
    assert 3 <= len(inside) <= 10
    assert len(set(inside)) == len(inside)


@pytest.mark.parametrize(("low", "high", "change", "first", "last", "count"), [
    (0.27, 0.73, False, "30 %", "70 %", 5), (0.0, 1.0, False, "0 %", "100 %", 6), (0.485, 0.515, False, "48.5 %", "51.5 %", 7),
    (-0.021, 0.034, True, "−2 %", "+3 %", 6), (-0.0004, 0.0006, True, "−0.04 %", "+0.06 %", 6),
])
def test_an_axis_of_shares_is_labeled_as_sentences_write_percent(low, high, change, first, last, count):
    axis = share_axis(low, high, change=change)
    assert (axis["ticktext"][0], axis["ticktext"][-1], len(axis["ticktext"])) == (first, last, count)
    for value, text in zip(axis["tickvals"], axis["ticktext"], strict=True):
        assert low - 1e-9 <= value <= high + 1e-9
        assert float(text.removesuffix(" %").replace("−", "-")) == pytest.approx(100 * value, abs=1e-9)


@pytest.mark.parametrize(("far", "symbol", "top"), [((0.02, 1e-12), "arrow-down", False), ((40.0, 0.02), "arrow-up", True)])
def test_one_far_layer_stands_at_the_edge_and_does_not_flatten_the_others(far, symbol, top):
    others = layers(6)
    figure = layer_errors([*others, layer(6, "mlp.down_proj", *far)])
    axis = figure.layout.yaxis
    values = [value for item in others for value in (item.relative_error, item.optimum_error)]
    drawn = [(y, mark) for trace in figure.data if trace.customdata is not None
             for y, mark in zip(trace.y, [trace.marker.symbol] * len(trace.y) if isinstance(trace.marker.symbol, str) else
                                trace.marker.symbol, strict=True)]
    arrows = [(y, mark) for y, mark in drawn if mark.startswith("arrow")]
    assert [mark.removesuffix("-open") for _, mark in arrows] == [symbol]
    assert arrows[0][0] == (max([*values, far[1]]) if top else min([*values, far[0]]))
    assert axis.type == "linear" or axis.range[1] - axis.range[0] < 2
    hover = next(text for trace in figure.data if trace.customdata is not None for text in trace.text if "layers.6" in text)
    for value in far:
        assert numbers.error(value) in hover, "the value itself is told"


@pytest.mark.parametrize(("values", "ends"), [
    ([1, 2, 3, 4, 5, 6], (1, 6)), ([1e-9, 2, 3, 4, 5, 6], (2, 6)), ([1, 2, 3, 4, 5, 600], (1, 5)), ([1, 2, 3, 900], (1, 900)),
    ([0.001, 0.01, 0.1, 1, 10, 100], (0.001, 100)), ([1, 1, 2, 2, 3, 3, 500, 600, 700], (1, 700)), ([0, math.inf, 1, 2, 3], (1, 3)),
])
def test_far_values_are_few_and_far_from_all_others(values, ends):
    assert axes.main_part(values) == ends


def test_thousands_are_apart_alike_in_sentences_of_the_core():
    apart = numbers.count(1000).strip("10")
    told = numbers.grouped("blocks 3, 4 are gone, 1,574,400 of 30,720 parameters (27.3 %), 1,5747")
    assert told == f"blocks 3, 4 are gone, 1{apart}574{apart}400 of {numbers.count(30_720)} parameters (27.3 %), 1,5747"
