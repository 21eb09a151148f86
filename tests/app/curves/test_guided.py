"""Chart and sentences of blocks per input, from a record."""

from __future__ import annotations

import math

import pytest

from app.shared.charts.guided import FIXED, GUIDED, guided_curves
from app.shared.findings.guided import guided_csv, guided_finding, guided_protocol, guided_rows
from core.records.guided import GuidedPoint, InputGuided
from core.spec import RunSpec, make_method, parse_pattern
from core.spec.guide import Guide
from tests.app.curves.test_curves import DENSE
from tests.app.examples import point


def measured(losses) -> object:
    mean = sum(losses) / len(losses)
    return DENSE.model_copy(update={"perplexity": math.exp(mean), "losses": tuple(losses), "windows": len(losses)})


def record(*guided) -> InputGuided:
    """Fixed losses of 3.0 to 3.3; each of `guided` is what choosing per input adds in the four windows."""
    fixed = measured([3.0, 3.1, 3.2, 3.3])
    points = tuple(GuidedPoint(skipped=number, fixed_blocks=(1, 3)[:number], fixed=fixed, cluster_blocks=((1, 3)[:number], (2, 3)[:number]),
                               guided=fixed if more is None else measured([3.0 + more[0], 3.1 + more[1], 3.2 + more[2], 3.3 + more[3]]),
                               blocks_run=6.0 - number) for number, more in enumerate(guided, 1))
    one = point("influence", "blocks:2", 40.0, counted=1 / 3)
    return InputGuided(spec=RunSpec(method=make_method("influence"), pattern=parse_pattern("blocks:2")), guide=Guide(clusters=2),
                       revisions=one.revisions, blocks=6, dense=DENSE, points=points, calibration_windows=(20, 12),
                       evaluation_clusters=(0, 1, 0, 1), calibration="a text", seconds=1.0, environment=one.environment)


@pytest.mark.parametrize(("guided", "answer"), [
    ((None, None), "No: every cluster"), ((None, (-0.1, -0.11, -0.1, -0.12)), "Yes: of 2 depths"),
    (((0.1, 0.11, 0.1, 0.12), None), "No: of 2 depths"), (((0.1, -0.1, 0.1, -0.1), None), "No: of 2 depths"),
    (((0.1, 0.11, 0.1, 0.12), (-0.1, -0.11, -0.1, -0.12)), "It depends: of 2 depths")])
def test_the_finding_answers_by_paired_noise(guided, answer):
    assert guided_finding(record(*guided)).startswith(answer)


def test_chart_and_table_have_every_depth():
    found = record(None, (-0.1, -0.11, -0.1, -0.12))
    figure = guided_curves(found)
    lines = {trace.name: trace for trace in figure.data}
    assert list(lines[FIXED].x) == list(lines[GUIDED].x) == [6.0, 5.0, 4.0]
    assert lines[FIXED].y[0] == lines[GUIDED].y[0] == DENSE.perplexity
    assert lines[GUIDED].y[2] == found.points[1].guided.perplexity
    rows = dict(guided_rows(found))
    assert rows["Skipped in cluster 2"] == ["2", "2, 3"]
    assert rows["Per input over fixed"][0] == "equal"
    assert "calibration 20, 12, evaluation 2, 2" in guided_protocol(found)
    assert [row["blocks_run"] for row in guided_csv(found)] == [5.0, 4.0]
