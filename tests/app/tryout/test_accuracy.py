"""Accuracy over sparsity: the sentence and the chart, on scores of known differences."""

from app.shared.charts.accuracy import ScoredPoint, accuracy_curve
from app.shared.findings.accuracy import accuracy_finding
from core.records.tasks import Score, TaskScores
from core.spec import RunSpec, make_method, parse_pattern

DENSE = "1" * 80 + "0" * 20


def scores(outcomes: str, dense: TaskScores | None = None) -> TaskScores:
    value = outcomes.count("1") / len(outcomes)
    return TaskScores(examples=100, available=100, shots=0, chance=0.25, truncated=0, version="1", content="c", dense=dense,
                      scores={"acc": Score(value=value, stderr=(value * (1 - value) / 99) ** 0.5)}, outcomes={"acc": outcomes})


def point(method: str, sparsity: float, wrong: int) -> ScoredPoint:
    """A run that is wrong on the first `wrong` examples, which the dense model has right."""
    return ScoredPoint(spec=RunSpec(method=make_method(method), pattern=parse_pattern(str(sparsity))), counted_sparsity=sparsity,
                       scores=scores("0" * wrong + DENSE[wrong:], scores(DENSE)))


POINTS = [point("wanda", 0.5, 1), point("wanda", 0.7, 10), point("thanos", 0.7, 2), point("magnitude", 0.7, 30)]


def test_the_finding_is_of_the_sparsity_that_most_methods_have():
    told = accuracy_finding(POINTS, "acc")
    assert told == ("At 70.0 % counted sparsity, with acc 80.0 % of the dense model: Thanos (78.0 %) cannot be told from it; Wanda loses "
                    "10.0 points ± 3.0 and Magnitude loses 30.0 points ± 4.6 (one standard error, on the same examples).")
    assert not accuracy_finding([ScoredPoint(spec=RunSpec(), counted_sparsity=0.5, scores=scores(DENSE))], "acc")


def test_bars_are_those_of_the_paired_difference():
    figure = accuracy_curve(POINTS, "acc")
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == ["Magnitude", "Wanda", "Thanos"]
    assert [round(bar, 3) for bar in traces["Wanda"].error_y.array] == [0.01, 0.030]
    assert list(traces["Wanda"].y) == [0.79, 0.70]
    low, high = figure.layout.yaxis.range
    assert low < 0.5 - 0.046
    assert 0.8 < high <= 1
    assert len(figure.layout.shapes) == 1  # the dense model; guessing is too far away to be drawn


def test_guessing_is_drawn_where_it_is_near():
    figure = accuracy_curve([*POINTS, point("magnitude", 0.9, 50)], "acc")
    assert len(figure.layout.shapes) == 2
    assert figure.layout.yaxis.range[0] < 0.25
