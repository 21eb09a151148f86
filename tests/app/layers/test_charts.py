"""The charts of one layer and of all: what is drawn is what the records say."""

import json
import math

import numpy as np
import pytest
from PIL import ImageColor

from app.layers import findings
from app.layers.charts import details
from app.layers.charts.layer_map import MEASURES, layer_map
from app.layers.charts.method_bars import Bar, method_bars
from app.layers.findings import layer_finding, map_finding
from app.layers.questions import Bins, Parts, Weights
from app.shared.style import MAGNITUDES, METHOD_MARKS, OUTLIER_ROWS, readable
from core.records import LayerRecord

MODULES = ("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj")


def layer(block=0, module="mlp.down_proj", error=0.02, optimum=0.01, **more):
    return LayerRecord(name=f"model.layers.{block}.{module}", block=block, module=module, shape=(8, 12), counted_sparsity=0.5,
                       relative_error=error, optimum_error=optimum, seconds=0.1, tokens=640, **more)


def layers(blocks):
    return tuple(layer(block, module, 0.001 * 4 ** (block % 5 + place), 0.0005) for block in range(blocks)
                 for place, module in enumerate(MODULES))


def bars(**errors):
    return [Bar(method=name, label=name.title(), record=layer(error=error, optimum=optimum), present=name == "thanos")
            for name, (error, optimum) in errors.items()]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("blocks", [1, 3, 60])
def test_the_map_has_a_cell_and_a_point_for_every_layer(theme, measure, blocks):
    found = layers(blocks)
    figure = layer_map(found, measure=measure, chosen=found[-1].name, theme=theme)
    heat, points = figure.data
    assert len(points.x) == len(found) <= 64**2
    for x, y, name in zip(points.x, points.y, points.customdata, strict=True):
        record = next(item for item in found if item.name == name)
        expected = {"error": record.relative_error, "gap": 1 + record.gap, "sparsity": 0.5}[measure]
        shown = np.asarray(heat.z)[y][list(heat.x).index(x)]
        assert shown == pytest.approx(expected) or 10**shown == pytest.approx(expected)
    if measure == "sparsity" and blocks == 60:
        assert all(text.endswith(" %") for text in heat.colorbar.ticktext)
    assert points.marker.opacity == points.selected.marker.opacity == points.unselected.marker.opacity == 0
    (frame,) = figure.layout.shapes
    assert (frame.x0 + frame.x1) / 2 == found[-1].block
    json.loads(figure.to_json())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_numbers_of_a_map_can_be_read_on_their_colors(theme):
    assert {note.text for note in layer_map(layers(5), theme=theme).layout.annotations} >= {"0.00100", "0.00400"}
    for step in range(51):
        above, below = (np.array(ImageColor.getrgb(MAGNITUDES[theme][place])) for place in (math.ceil(step / 10), step // 10))
        red, green, blue = below + (above - below) * (step % 10 / 10)
        under = sum(share * ((part / 255 + 0.055) / 1.055) ** 2.4 for share, part in zip((0.2126, 0.7152, 0.0722), (red, green, blue),
                                                                                        strict=True))
        over = 1.0 if readable(MAGNITUDES[theme], step / 50) == "#FFFFFF" else 0.0
        assert (max(under, over) + 0.05) / (min(under, over) + 0.05) >= 4.5, "WCAG AA"


def test_a_map_of_odd_layers_has_holes_and_survives_zeros_and_infinity():
    found = (layer(0, "a", 0.0, 0.0), layer(2, "b", 0.5, 0.0), layer(2, "a", math.inf, 0.1))
    for measure in MEASURES:
        cells = np.asarray(layer_map(found, measure=measure).data[0].z, dtype=float)
        assert np.isnan(cells).sum() == 1
        assert np.isfinite(cells).sum() == 3
    assert layer_map(()).data[0].z.size == 0


def test_bars_are_split_at_the_optimum_of_their_mask():
    figure = method_bars(bars(wanda=(0.04, 0.01), thanos=(0.02, 0.016)))
    drawn = [trace for trace in figure.data if trace.type == "bar"]
    ends = [(trace.base[0], trace.base[0] + trace.x[0]) for trace in drawn]
    assert [pytest.approx(end) for end in ends] == [(0, 0.01), (0.01, 0.04), (0, 0.016), (0.016, 0.02)]
    assert [trace.marker.color for trace in drawn][::2] == [METHOD_MARKS["wanda"].color, METHOD_MARKS["thanos"].color]
    hollow = [trace for trace in figure.data if trace.type == "scatter" and trace.x[0] is not None]
    assert [trace.x[0] for trace in hollow] == [0.01, 0.016]
    assert all(trace.marker.symbol.endswith("-open") for trace in hollow)
    assert list(figure.layout.yaxis.ticktext) == ["Wanda", "<b>Thanos</b>"]
    texts = [note.text for note in figure.layout.annotations]
    assert "0.0400" in texts[0]
    assert "4.0×" in texts[0]
    assert "1.25×" in texts[1]


def test_errors_far_apart_are_on_a_logarithmic_axis():
    figure = method_bars(bars(magnitude=(0.5, 0.1), thanos=(0.002, 0.001), frontier=(0.0, 0.0)))
    low, high = figure.layout.xaxis.range
    assert figure.layout.xaxis.type == "log"
    for trace in figure.data:
        if trace.type == "bar":
            assert trace.base[0] >= 0.99 * 10**low
            assert trace.x[0] >= 0
    assert high > math.log10(0.5)


def test_what_is_not_known_yet_keeps_its_place_and_what_is_old_is_pale():
    found = [*bars(wanda=(0.04, 0.01)), Bar(method="thanos", label="Thanos", record=None, present=True),
             Bar(method="obc", label="OBC", record=layer(), stale=True)]
    figure = method_bars(found)
    assert [note.text == "…" for note in figure.layout.annotations] == [False, True, True]
    assert {trace.y[0] for trace in figure.data if trace.type == "bar"} == {0, 2}
    assert max(trace.opacity for trace in figure.data if trace.type == "bar" and trace.y[0] == 2) < 0.5
    assert layer_finding(found) == ""
    method_bars([Bar(method="thanos", label="Thanos", record=None)])


def test_the_sentence_says_whose_fault_it_is():
    text = layer_finding(bars(wanda=(0.04, 0.01), thanos=(0.02, 0.015), frontier=(0.012, 0.0119)))
    assert text == ("In 0.mlp.down_proj Thanos leaves 1.33× the best possible error for its mask: 75.0 % of it is due to the mask. "
                    "Wanda leaves 4.0× its optimum, the most of the others. The least error here is Frontier's, 0.0120.")
    assert "No other method has less error here than Thanos's 0.0200." in layer_finding(bars(wanda=(0.04, 0.01), thanos=(0.02, 0.015)))
    assert "reaches the best possible error" in layer_finding(bars(thanos=(0.02, 0.02)))
    assert "makes an error where its mask needs none" in layer_finding(bars(thanos=(0.02, 0.0)))
    assert layer_finding(bars(thanos=(0.02, 0.02)), weighed=True).endswith(
        " Here an error counts all outputs the same; the methods went by what the loss feels.")
    assert layer_finding(bars(thanos=(0.0, 0.0))) == "Thanos does not change this layer's output."


def test_the_map_s_sentence():
    found = (layer(0, "a", 0.01, 0.005), layer(1, "a", 0.02, 0.02), layer(2, "a", 0.06, 0.02))
    assert map_finding(found) == ("The largest error is in 2.a: error 0.0600, 3.0× the median layer's. Over all layers, 50.0 % of "
                                  "the error is due to the masks.")
    assert map_finding((layer(error=0.0, optimum=0.0),)) == "No layer's output changes."


@pytest.mark.parametrize("rows", [1, 5, 700])
@pytest.mark.parametrize("ordered", [False, True])
def test_rows_and_columns_with_outlier_rows_in_the_accent(rows, ordered):
    shares = np.linspace(1, 2, rows, dtype=np.float32)
    dense = np.array([0]) if rows > 1 else np.array([], dtype=int)
    shares[dense] = 0
    parts = Parts(rows=shares / shares.sum(), columns=np.array([0.7, -0.1, 0.4], dtype=np.float32), dense_rows=dense, dense_columns=0,
                  relative_error=0.1, removed=np.array([0.5, 0.5, 0.5]))
    figure = details.error_parts(parts, ordered=ordered)
    by_row, *marks, by_column = figure.data
    assert by_row.y.sum() == pytest.approx(100, rel=1e-4)
    assert list(by_column.customdata) == ([0, 2, 1] if ordered else [0, 1, 2])
    assert list(by_column.y) == pytest.approx([70, 40, -10] if ordered else [70, -10, 40])
    assert len(marks) == len(dense)
    if marks:
        assert marks[0].marker.color == OUTLIER_ROWS
        assert list(marks[0].x) == ([rows - 1] if ordered else [0])
    text = findings.parts_finding(parts)
    assert "1 input column of 3" in text
    assert "below zero" in text
    assert ("outlier row" in text) == bool(len(dense))


def test_a_layer_without_error_has_nothing_to_share_out():
    parts = Parts(rows=np.zeros(2, np.float32), columns=np.zeros(2, np.float32), dense_rows=np.array([0, 1]), dense_columns=0,
                  relative_error=0.0, removed=np.zeros(2))
    details.error_parts(parts)
    assert "no error" in findings.parts_finding(parts)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("cell", "shape"), [((1, 1), (2, 3)), ((4, 16), (8, 43))])
def test_weights_before_and_after_share_a_scale_and_changes_are_centered(theme, cell, shape):
    cells = np.array([[0.1, 0.2, 0.3], [0.0, 0.5, 0.1]], dtype=np.float32)
    weights = Weights(before=cells, after=cells / 2, change=cells - 0.2, cell=cell, shape=shape)
    figure = details.weight_maps(weights, theme=theme)
    assert [trace.coloraxis for trace in figure.data] == ["coloraxis", "coloraxis", "coloraxis2"]
    assert figure.layout.coloraxis2.cmin == -figure.layout.coloraxis2.cmax
    assert [trace.dx for trace in figure.data] == [cell[1]] * 3
    assert ("one weight" in findings.weights_finding(weights)) == (cell == (1, 1))
    details.weight_maps(Weights(before=0 * cells, after=0 * cells, change=0 * cells, cell=cell, shape=shape))


def test_the_histogram_says_whether_kept_weights_grew():
    edges = np.linspace(-1, 1, 6)
    bins = Bins(edges=edges, kept_before=np.array([0, 5, 0, 5, 0]), kept_after=np.array([5, 0, 0, 0, 5]),
                removed_before=np.array([0, 0, 4, 0, 0]))
    assert [trace.name for trace in details.weight_histogram(bins).data] == ["removed, before", "kept, before", "kept, after"]
    assert findings.histogram_finding(bins).startswith("In root mean square the weights that stay grow by 100.0 %")
    same = Bins(edges=edges, kept_before=bins.kept_before, kept_after=bins.kept_before, removed_before=bins.removed_before)
    assert "keep their size" in findings.histogram_finding(same)
    assert "No weight" in findings.histogram_finding(Bins(**{**vars(same), "removed_before": 0 * bins.removed_before}))


def test_an_optimum_that_was_left_out_is_said_and_not_drawn():
    left_out = [layer(block, optimum=None) for block in range(2)]
    assert map_finding(left_out).endswith("The best possible errors were not computed.")
    assert "not computed" in layer_map(left_out, measure="gap").layout.title.text
    assert "not computed" not in layer_map([*left_out, layer(2)], measure="gap").layout.title.text
    found = [Bar(method="thanos", label="Thanos", record=left_out[0], present=True), *bars(wanda=(0.03, 0.01))]
    assert "the best possible was not computed" in layer_finding(found)
    figure = method_bars(found)
    assert len([trace for trace in figure.data if trace.type == "scatter" and trace.x != (None,)]) == 1
