"""Charts of masks and the words of their page: odd shapes, both themes, groups that end before the layer does."""

import json

import numpy as np
import pytest

from app.masks.charts import loupe, mask_overview, pair_overview, window_rows
from app.masks.findings import mask_finding, pair_finding
from app.masks.query import other_spec, read_place
from app.masks.questions import KEPT, OUTLIER, REMOVED, Mask, Pair, Window
from app.shared.style import ONLY_A, ONLY_B, OUTLIER_ROWS
from core.records import LayerRecord
from core.records.overlaps import Overlap
from core.spec import RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput


def record(shape=(8, 12), **more):
    told = {"counted_sparsity": 0.5, "relative_error": 0.02, "optimum_error": 0.01, "seconds": 0.1, "tokens": 640, **more}
    return LayerRecord(name="model.layers.0.mlp.up", block=0, module="mlp.up", shape=shape, **told)


def cells(shape, most, seed=0):
    reduced = [-(-size // -(-size // most)) for size in shape]
    return np.random.default_rng(seed).integers(0, 101, reduced).astype(np.uint8)


def shares(count):
    return np.linspace(0, 0.5, count, dtype=np.float32)


def mask(shape, dense=()):
    return Mask(record=record(shape), density=cells(shape, 256), points=cells(shape, 64), rows=shares(shape[0]), columns=shares(shape[1]),
                dense_rows=np.array(dense, dtype=int))


def pair(shape, overlap=None):
    return Pair(a=record(shape), b=record(shape, relative_error=0.03, optimum_error=0.015),
                overlap=overlap or Overlap(both=40, only_a=8, only_b=6, neither=42),
                only_a=cells(shape, 256), only_b=cells(shape, 256, 1),
                points_a=cells(shape, 64), points_b=cells(shape, 64, 1), rows_a=shares(shape[0]), rows_b=shares(shape[0]),
                columns_a=shares(shape[1]), columns_b=shares(shape[1]), dense_rows=np.array([], dtype=int))


SHAPES = [(1, 1), (1, 172), (7, 5), (256, 688), (1100, 3), (4096, 11008)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("shape", SHAPES)
def test_overviews_cover_the_matrix_and_their_points_stay_within(theme, shape):
    for figure in (mask_overview(mask(shape, dense=(0,)), (10_000, 10_000), theme=theme), pair_overview(pair(shape), (0, 0), theme=theme)):
        (heat,) = (trace for trace in figure.data if trace.type == "heatmap")
        for axis, size in (("y", shape[0]), ("x", shape[1])):
            count, step = heat.z.shape[axis == "x"], heat[f"d{axis}"]
            assert heat[f"{axis}0"] - step / 2 == -0.5
            assert size <= count * step < size + step
        points = next(trace for trace in figure.data if trace.customdata is not None)
        assert len(points.x) <= 64**2
        assert all(0 <= row < shape[0] and 0 <= column < shape[1] for row, column in points.customdata)
        assert len(points.text) == len(points.x)
        (frame,) = figure.layout.shapes
        assert -0.5 <= frame.x0 < frame.x1 <= shape[1] - 0.5
        assert -0.5 <= frame.y0 < frame.y1 <= shape[0] - 0.5
        json.loads(figure.to_json())


def test_outlier_rows_cross_the_overview_in_the_accent():
    figure = mask_overview(mask((8, 12), dense=(2, 5)), (0, 0))
    (lines,) = (trace for trace in figure.data if trace.type == "scatter" and trace.line.color == OUTLIER_ROWS)
    assert [y for y in lines.y if y is not None] == [2, 2, 5, 5]


def test_where_masks_differ_is_mixed_from_two_colors():
    shape = (2, 2)
    both = pair(shape)
    only = Pair(**{**vars(both), "only_a": np.array([[0, 100], [0, 0]], np.uint8), "only_b": np.array([[0, 0], [100, 0]], np.uint8)})
    (heat,) = (trace for trace in pair_overview(only, (0, 0)).data if trace.type == "heatmap")
    colors = {place: heat.colorscale[2 * int(heat.z[place])][1] for place in np.ndindex(shape)}
    assert colors[0, 1] == ONLY_A
    assert colors[1, 0] == ONLY_B
    assert colors[0, 0] == colors[1, 1] not in (ONLY_A, ONLY_B)
    margins = {trace.line.color for trace in pair_overview(only, (0, 0)).data if trace.type == "scatter" and trace.mode == "lines"}
    assert margins == {ONLY_A, ONLY_B}


def window(high=4, wide=11, column=0):
    kinds = np.zeros((high, wide), np.uint8)
    kinds[:, ::2] = REMOVED
    kinds[1] = OUTLIER
    values = np.full((high, wide), 0.5, np.float32)
    return Window(row=0, column=column, kinds=kinds, before=values, after=np.where(kinds == REMOVED, 0, values))


def test_the_loupe_names_every_weight_and_divides_whole_groups_only():
    figure = loupe(window(), group=4, columns=11)
    heat, lines, *legend = figure.data
    assert heat.text[0][0] == "removed<br>0.500 → 0"
    assert heat.text[1][0].startswith("kept: an outlier row")
    assert [x for x in lines.x if x is not None][::2] == [-0.5, 3.5, 7.5]
    assert [trace.name for trace in legend] == ["kept", "removed", "kept: an outlier row"]
    shifted = loupe(window(column=6), group=4, columns=40).data[1]
    assert [x for x in shifted.x if x is not None][::2] == [7.5, 11.5, 15.5]
    assert [trace.name for trace in loupe(window(), pair=True).data[1:]] == ["kept", "removed by both", "outlier row of A", "only by A",
                                                                            "only by B"]
    assert KEPT == 0
    row = next(row for row in window_rows(window(column=6)) if row["fate"] == "removed")
    assert (row["row"], row["column"], row["before"], row["after"]) == (0, 6, 0.5, 0)
    assert window_rows(window(), pair=True)[0]["fate"] == "removed by both"


def test_sentences_are_computed():
    assert mask_finding(mask((8, 12), dense=(1,))) == (
        "48 of 96 weights go, 50.0 %. Rows lose 0.0 % to 50.0 % of their weights, columns 0.0 % to 50.0 %. Whole stays 1 outlier row.")
    short = mask((8, 12))
    assert mask_finding(
        Mask(**{**vars(short), "record": record(dense_columns=3)})).endswith("The last 3 columns, too few for a group, stay whole.")
    text = pair_finding("this", "that", pair((8, 12)))
    assert text == ("Of the weights that A removes, B removes 83.3 % too. A leaves error 0.0200, B 0.0300; at best A's mask costs 0.0100 "
                    "and B's 0.0150, 1.50× that.")
    same = pair_finding("this", "that", pair((8, 12), Overlap(both=1, only_a=0, only_b=0, neither=1)))
    assert same.startswith("this and that remove exactly the same weights.")
    assert pair_finding("a", "b", pair((2, 2), Overlap(both=0, only_a=0, only_b=0, neither=4))).startswith("Neither a nor b")
    assert pair_finding("a", "b", pair((2, 2), Overlap(both=0, only_a=0, only_b=1, neither=3))).startswith("A removes nothing.")


def test_the_other_mask_is_as_a_but_for_what_is_said():
    a = RunSpec(method=make_method("thanos", block_size=16, damping=0.1), pattern=parse_pattern("2:4", alpha=0.1))
    other, complaints = other_spec(a, {"b_block_size": "8", "b_method": ""})
    assert (other.method.block_size, other.method.damping, other.pattern, complaints) == (8, 0.1, a.pattern, ())
    other, _ = other_spec(a, {"b_method": "sparsegpt"})
    assert other.method == make_method("sparsegpt").resolved(a.pattern)
    assert other_spec(a, {"b_pattern": "columns:0.3", "b_alpha": "0"})[0].pattern == parse_pattern("columns:0.3")
    for words, told in (({"b_method": "dsnot", "b_pattern": "columns:0.3"}, "B: pattern"), ({"b_alpha": "2"}, "B: alpha"),
                        ({"b_method": "wanda", "b_block_size": "8"}, "B: block_size"), ({"b_pattern": "<b>"}, "B: pattern")):
        other, complaints = other_spec(a, words)
        assert other is None
        assert complaints[0].startswith(told)
    iso = RunSpec(pattern=parse_pattern("0.5", alpha=0.1, alpha_budget="iso"))
    assert other_spec(iso, {"b_alpha": "0"})[0].pattern == parse_pattern("0.5")


@pytest.mark.parametrize("text", ["-1", "1.5", "12", "x", "١٢٣٤٥", "99999999999999999999", " 3"])
def test_a_place_outside_the_layer_is_refused(text):
    with pytest.raises(BadInput, match="row"):
        read_place("row", text, 12)
    assert read_place("row", "11", 12) == 11
    assert read_place("row", "", 12) == 0
