"""Zero-shot scores of a model on a task, with the outcome of every example. No torch.

As JSON a task is flat, so that a reader needs no map: {acc, acc_stderr, acc_norm, acc_norm_stderr, ..., examples, available, ...}.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any, cast

from pydantic import model_serializer, model_validator

from core.spec.base import FrozenModel

Outcomes = str | tuple[float, ...]  # one an example; where all are 0 or 1, one character an example
_STDERR, _MEAN_TOLERANCE = "_stderr", 1e-9


class Score(FrozenModel):
    """A metric over the examples of a task; `stderr` None where its aggregation has no standard error."""

    value: float
    stderr: float | None = None


class TaskScores(FrozenModel):
    """Scores of one model on one task, as lm-eval computes them. `dense`: those of the unpruned model on the same examples."""

    examples: int
    available: int  # examples that the task has; fewer were used under a limit
    shots: int
    chance: float | None  # of acc, by guessing; None where nothing is chosen among answers
    truncated: int  # prompts cut from the left because they were longer than the context
    version: str  # the task's, in lm-eval
    content: str  # sha256 of examples, prompts' templates and metrics: scores may be compared where it is the same
    scores: dict[str, Score]
    outcomes: dict[str, Outcomes]
    dense: TaskScores | None = None

    @property
    def limited(self) -> bool:
        """A limit left examples out: the number cannot be compared with published ones."""
        return self.examples < self.available

    @property
    def main(self) -> str:
        """The metric to show where there is room for one: acc, else the first."""
        return "acc" if "acc" in self.scores else next(iter(self.scores))

    def difference(self, metric: str) -> Score | None:
        """dense − pruned, with the standard error of the paired differences over examples. None without a dense model's scores.

        The standard error is None where the metric is no mean over examples. Raises KeyError for a metric that is not there.
        """
        if self.dense is None or self.dense.content != self.content:
            return None
        before, after = self.dense.scores[metric].value, self.scores[metric].value
        pairs = tuple(zip(_numbers(self.dense.outcomes.get(metric, ())), _numbers(self.outcomes.get(metric, ())), strict=False))
        changes = [dense - pruned for dense, pruned in pairs]
        if len(changes) < 2 or abs(statistics.fmean(changes) - (before - after)) > _MEAN_TOLERANCE:
            return Score(value=before - after)
        return Score(value=before - after, stderr=statistics.stdev(changes) / math.sqrt(len(changes)))

    @model_serializer(mode="plain")
    def _flat(self) -> dict[str, Any]:
        flat: dict[str, Any] = _flat_scores(self.scores)
        flat |= {name: getattr(self, name) for name in _PLAIN}
        if self.dense is not None:
            changes = {metric: self.difference(metric) for metric in self.scores if metric in self.dense.scores}
            flat["dense"] = self.dense.model_dump(mode="json")
            flat["difference"] = _flat_scores({metric: change for metric, change in changes.items() if change is not None})
        return flat

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "scores" in value:
            return cast(Any, value)
        flat = dict(cast("dict[str, Any]", value))
        flat.pop("difference", None)  # computed
        known = {name: flat.pop(name) for name in (*_PLAIN, "dense") if name in flat}
        names = [name for name in flat if not (name.endswith(_STDERR) and name.removesuffix(_STDERR) in flat)]
        return {**known, "scores": {name: {"value": flat[name], "stderr": flat.get(name + _STDERR)} for name in names}}


_PLAIN = ("examples", "available", "shots", "chance", "truncated", "version", "content", "outcomes")


def encode_outcomes(values: list[float]) -> Outcomes:
    """One character an example where all are 0 or 1, else the numbers."""
    return "".join(str(int(value)) for value in values) if set(values) <= {0.0, 1.0} else tuple(values)


def average(tasks: Mapping[str, TaskScores], metric: str = "acc") -> Score | None:
    """The mean of a metric over tasks, each task counting the same, as papers print it. None where a task does not have it."""
    if not tasks or any(metric not in task.scores for task in tasks.values()):
        return None
    return _mean([task.scores[metric] for task in tasks.values()])


def average_difference(tasks: Mapping[str, TaskScores], metric: str = "acc") -> Score | None:
    """The mean over tasks of dense − pruned, with its standard error: tasks are independent, examples are paired."""
    changes = [task.difference(metric) if metric in task.scores else None for task in tasks.values()]
    found = [change for change in changes if change is not None]
    return _mean(found) if found and len(found) == len(tasks) else None


def _mean(scores: list[Score]) -> Score:
    errors = [score.stderr for score in scores if score.stderr is not None]
    return Score(value=statistics.fmean(score.value for score in scores),
                 stderr=math.sqrt(sum(error**2 for error in errors)) / len(scores) if len(errors) == len(scores) else None)


def _numbers(outcomes: Outcomes) -> tuple[float, ...]:
    return tuple(float(one) for one in outcomes)


def _flat_scores(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {key: value for name, score in scores.items()
            for key, value in ((name, score.value), (name + _STDERR, score.stderr))}
