"""Sentences and rows about scores, from records with known outcomes."""

import math
import statistics

import pytest

from app.tryout import charts, findings
from app.tryout.query import Asked, read
from core.records.tasks import Score, TaskScores


def scores(outcomes: str, dense: TaskScores | None = None, *, available: int | None = None, chance: float | None = 0.25) -> TaskScores:
    values = [float(one) for one in outcomes]
    error = statistics.stdev(values) / math.sqrt(len(values))
    return TaskScores(examples=len(values), available=available or len(values), shots=0, chance=chance, truncated=0, version="1",
                      content="c" * 64, scores={"acc": Score(value=statistics.fmean(values), stderr=error)}, outcomes={"acc": outcomes},
                      dense=dense)


DENSE = scores("1" * 80 + "0" * 20)


def test_a_clear_loss_is_told_with_its_paired_error():
    pruned = scores("1" * 60 + "0" * 40, DENSE)
    error = statistics.stdev([1.0] * 20 + [0.0] * 80) / 10
    text = findings.finding({"a": pruned}, "acc")
    assert "60.0 %" in text
    assert f"it loses 20.0 points ± {100 * error:.1f}" in text
    assert "Guessing is right in 25.0 %" in text


def test_a_difference_within_two_errors_is_told_as_none():
    assert "cannot tell from none" in findings.finding({"a": scores("1" * 79 + "0" * 21, DENSE)}, "acc")
    assert "cannot tell from none" not in findings.finding({"a": scores("1" * 74 + "0" * 26, DENSE)}, "acc")


def test_a_gain_is_told_as_one():
    assert "gains 10.0 points" in findings.finding({"a": scores("1" * 90 + "0" * 10, DENSE)}, "acc")


def test_a_dense_model_at_chance_is_told_to_say_nothing():
    chance = scores("1" * 27 + "0" * 73)
    text = findings.finding({"a": scores("1" * 20 + "0" * 80, chance)}, "acc")
    assert "say nothing about pruning" in text
    assert "say nothing" not in findings.finding({"a": scores("1" * 20 + "0" * 80, DENSE)}, "acc")


def test_several_tasks_are_averaged_and_unknown_metrics_left_out():
    tasks = {"a": scores("1" * 60 + "0" * 40, DENSE), "b": scores("1" * 70 + "0" * 30, DENSE)}
    assert "On average over 2 tasks the pruned model is right in 65.0 %" in findings.finding(tasks, "acc")
    assert findings.finding(tasks, "acc_norm") == ""


def test_a_limit_is_a_badge():
    assert findings.badge(scores("10", available=300)) == "not comparable: 2 of 300 examples"
    assert findings.badge(scores("10")) == ""
    assert "2 examples of 300" in dict(findings.protocol({"a": scores("10", available=300)}))["Tasks"]


def test_rows_hold_what_the_record_holds():
    pruned = scores("1" * 60 + "0" * 40, DENSE)
    (row,) = findings.score_rows({"a": pruned})
    change = pruned.difference("acc")
    assert (row["dense"], row["pruned"], row["dense_minus_pruned"], row["paired_stderr"]) == (0.8, 0.6, change.value, change.stderr)


def test_the_chart_has_two_errors_to_each_side_and_a_filled_mark_where_they_leave_zero_out():
    tasks = {"clear": scores("1" * 60 + "0" * 40, DENSE), "tie": scores("1" * 79 + "0" * 21, DENSE)}
    trace = charts.differences(tasks, "acc").data[0]
    assert list(trace.x) == pytest.approx([20, 1])
    assert list(trace.error_x.array) == pytest.approx([200 * tasks[name].difference("acc").stderr for name in tasks])
    assert list(trace.marker.symbol) == ["circle", "circle-open"]


def test_words_of_a_link_that_cannot_be_used_are_refused():
    refused: dict[str, str] = {}
    words = {"tasks": "piqa,../x", "limit": "7", "metric": "f1"}
    assert read(words.get, refused.__setitem__) == Asked()
    assert set(refused) == {"tasks", "limit", "metric"}
    good = {"tasks": "piqa, boolq", "limit": "100", "metric": "acc_norm"}
    assert read(lambda name: good.get(name, ""), refused.__setitem__) == Asked(tasks=("piqa", "boolq"), limit=100, metric="acc_norm")
