"""The view of what is left: zeros, columns, neurons, heads and blocks on one chart."""

import math

import pytest

from app.curves import findings
from app.shared.charts.series import hover
from app.shared.charts.shapes import MEASURES, shape_curves
from app.shared.sweeps.points import Worth
from app.shared.sweeps.series import by_kind, left
from core.records.size_speed import Interval
from tests.app.curves.test_curves import DENSE, marks
from tests.app.examples import point


def shape_points():
    """Thanos's zeros, neurons and heads, and blocks by influence, with a measured speed where something is really gone."""
    def worth(ratio):
        found = Interval(median=ratio, low=ratio - 0.02, high=ratio + 0.02)
        return Worth(folder_bytes=8_400_000, device="CPU", batch=1, prefill=found, decode=found, prefill_rate=900.0, decode_rate=90.0)

    rows = (("thanos", "0.3", 30.0, 0.3, 1.0), ("thanos", "0.6", 40.0, 0.6, 1.01), ("thanos", "neurons:0.5", 32.0, 1 / 3, 1.2),
            ("thanos", "heads:2", 31.0, 1 / 6, 1.1), ("influence", "blocks:2", 43.0, 1 / 3, 1.5))
    return [point(method, word, value, counted=counted_share).model_copy(
        update={"worth": worth(ratio), "removed": 0 if word[0] == "0" else 1000, "parameters": 9000})
        for method, word, value, counted_share, ratio in rows]


def test_zeros_and_shapes_stand_on_one_chart_by_what_is_left_and_at_one_common_amount():
    series = by_kind(shape_points(), left)
    figure = shape_curves(series, DENSE)
    assert marks(figure, "Thanos, heads") == {(1 - 1 / 6, 31.0)}
    assert figure.layout.xaxis.range[0] > figure.layout.xaxis.range[1], "what is taken away grows to the right"
    lines = [trace for trace in figure.data if trace.mode and "markers" in trace.mode]
    assert len({(trace.marker.color, trace.marker.symbol) for trace in lines}) == len(lines) == 4
    words = findings.view_finding("shapes", series, DENSE)
    level = 1 - 1 / 6  # the heads' least; zeros there lie between the dense model and 30.00 at 70 %
    zeros = math.exp(math.log(29.0) + (1 - level) / 0.3 * (math.log(30.0) - math.log(29.0)))
    assert f"With 83.3 % of the pruned layers' parameters left, the least that all have: Thanos, any weights {zeros:.2f}" in words
    assert "Zeros leave folder and speed as they were; without neurons or heads or blocks the model really is smaller." in words


@pytest.mark.parametrize("over", ["prefill", "decode"])
def test_over_speed_the_fastest_is_named_with_its_interval(over):
    series = by_kind(shape_points(), MEASURES[over])
    figure = shape_curves(series, DENSE, over=over)
    assert marks(figure, "Block influence, blocks") == {(1.5, 43.0)}
    words = findings.view_finding("shapes", series, DENSE, over)
    assert "Fastest: Block influence, blocks with 66.7 % left, 1.50× the dense model's speed (1.48× to 1.52×) at perplexity 43.00." in words
    assert "Within 10 % of the dense perplexity: Thanos, heads" in words
    assert "Models with zeros alone: 1.00× to 1.01× the dense model's speed." in words
    assert "1 000 of 9 000 parameters are gone" in hover(series[-1].spots[0])
