"""Zero-shot scores of a dense model and of its pruned weights: lm-eval's `simple_evaluate` over the models in memory.

    with_model = ZeroShot(spec)                      the dense model on its device, loaded once
    with_model.score(task)                           TaskScores of the dense model
    with_model.write(weights); .score(task)          of the pruned one, in the same memory
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from torch import Tensor
from transformers import AutoTokenizer

from core.evaluate.harness import Report, WatchedModel, quiet
from core.evaluate.measured_model import load_measured
from core.evaluate.tasks import OpenTask
from core.models.blocks import map_blocks
from core.models.device import choose_device
from core.models.shrinking import shrunk
from core.records.shapes import RemovedShape
from core.records.tasks import Score, TaskScores, encode_outcomes
from core.spec import RunSpec
from core.spec.errors import BadInput, PruneError

_RESAMPLES = 1000  # of lm-eval's bootstrap, where a metric is no mean
_TASK_ERRORS = (ValueError, KeyError, TypeError, IndexError, AssertionError, AttributeError, jinja2.TemplateError)


class ZeroShot:
    """A model in memory, scored task by task. Uses model, revision, device and dtype of a spec; the rest is ignored."""

    def __init__(self, spec: RunSpec, expected: str | None = None) -> None:
        """`expected`: content address of the model. Raises BadInput for a model that cannot be loaded, InputChanged for another one."""
        self.model: Any
        source, self.model = load_measured(spec, choose_device(spec.device), expected)
        tokenizer = AutoTokenizer.from_pretrained(str(source.path), local_files_only=True, trust_remote_code=False)
        self._watch = lambda: WatchedModel(self.model, tokenizer, source.context)
        with quiet():
            self._watched = self._watch()
        self._manager = TaskManager(include_defaults=False)

    def write(self, weights: Mapping[str, Tensor], shape: RemovedShape | None = None) -> None:
        """Put `weights` [out, in], by layer name, in place of the model's own; with `shape` what is gone is taken out."""
        if shape is not None:
            self.model = shrunk(self.model, shape, weights)
            with quiet():
                self._watched = self._watch()
            return
        for linears in map_blocks(self.model).linears:
            for linear in linears:
                if linear.name in weights:
                    linear.write(weights[linear.name].to(linear.weight.device))

    def score(self, task: OpenTask, report: Report = lambda share: None) -> TaskScores:
        """Scores of the model as it is now. `report` hears the share that is done, before each batch.

        Raises BadInput for rows that the task cannot read, answers longer than the context and a tokenizer without a needed token;
        Cancelled where nobody waits any more (core/linalg/cancellation.py).
        """
        self._watched.report, self._watched.truncated = report, 0
        try:
            with quiet(), torch.inference_mode():
                results: Any = simple_evaluate(model=self._watched, tasks=[task.task], limit=task.limit, bootstrap_iters=_RESAMPLES,
                                               task_manager=self._manager, log_samples=True)
        except PruneError:
            raise
        except _TASK_ERRORS as error:
            raise BadInput("tasks", task.name, "a task that lm-eval can run",
                           f"lm-eval says: {type(error).__name__}: {str(error).strip()[:400]}.") from error
        report(1.0)
        return _scores(task, results, self._watched.truncated)


def score_tasks(spec: RunSpec, tasks: Sequence[OpenTask], weights: Mapping[str, Tensor] | None = None,
                dense: Mapping[str, TaskScores] | None = None, report: Report = lambda share: None, *,
                shape: RemovedShape | None = None, expected: str | None = None) -> dict[str, TaskScores]:
    """Scores by task: of the dense model, or with `weights`, and `shape` where it shrank, of the pruned one with the dense model's in
    `dense` beside them.

    The model is loaded once; `dense` scores that are known already are not computed again. `report` hears the share of all tasks.
    `expected`: content address of the model that `weights` belong to. Raises as `ZeroShot`.
    """
    known = {name: scores for name, scores in (dense or {}).items()}
    todo = [task for task in tasks if task.name not in known]
    steps = len(todo) + (len(tasks) if weights is not None else 0)
    shares = _shares(steps, report)
    with_model = ZeroShot(spec, expected)
    known |= {task.name: with_model.score(task, next(shares)) for task in todo}
    if weights is None:
        return {task.name: known[task.name] for task in tasks}
    with_model.write(weights, shape)
    return {task.name: with_model.score(task, next(shares)).model_copy(update={"dense": known[task.name]}) for task in tasks}


def _shares(steps: int, report: Report) -> Iterator[Report]:
    for step in range(steps):
        yield lambda share, step=step: report((step + share) / steps)


def _scores(task: OpenTask, results: Any, truncated: int) -> TaskScores:
    found: dict[str, Any] = results["results"][task.name]
    samples: list[dict[str, Any]] = results["samples"][task.name]
    scores: dict[str, Score] = {}
    outcomes: dict[str, list[float]] = {}
    for key, value in found.items():
        metric, _, chosen = key.partition(",")
        if not chosen or metric.endswith("_stderr") or not isinstance(value, (int, float)):
            continue
        name = metric if chosen == "none" else f"{metric},{chosen}"
        error = found.get(f"{metric}_stderr,{chosen}")
        scores[name] = Score(value=float(value), stderr=float(error) if isinstance(error, (int, float)) and math.isfinite(error) else None)
        values = [sample[metric] for sample in samples if sample["filter"] == chosen and metric in sample]
        if all(isinstance(one, (bool, int, float)) for one in values):
            outcomes[name] = [float(one) for one in values]
    _check_answers(task, samples)
    if not scores:
        raise BadInput("tasks", task.name, "a task with a metric that is a number", "Its metric_list has none.")
    return TaskScores(
        examples=task.examples, available=task.available, shots=int(results["n-shot"].get(task.name) or 0), truncated=truncated,
        chance=_chance(task, samples), version=str(results["versions"].get(task.name, "")), content=task.content, scores=scores,
        outcomes={name: encode_outcomes(values) for name, values in outcomes.items()})


def _check_answers(task: OpenTask, samples: list[dict[str, Any]]) -> None:
    """Raises BadInput for a right answer that is not among the answers: lm-eval counts such an example as wrong without a word."""
    if task.task.OUTPUT_TYPE != "multiple_choice":
        return
    for sample in samples:
        count, target = len(sample["arguments"]), sample["target"]
        if isinstance(target, int) and not 0 <= target < count:
            raise BadInput("tasks", f"{task.name}, row {sample['doc_id'] + 1}", f"right answers from 0 to {count - 1}",
                           f"This row says {target}.")


def _chance(task: OpenTask, samples: list[dict[str, Any]]) -> float | None:
    """The accuracy of guessing: the mean of 1 / (number of answers)."""
    if task.task.OUTPUT_TYPE != "multiple_choice" or not samples:
        return None
    each = 2 if "acc_mutual_info" in samples[0]["metrics"] else 1  # lm-eval asks for the answers without the question as well
    first = {sample["doc_id"]: len(sample["arguments"]) / each for sample in samples}
    return sum(1 / count for count in first.values()) / len(first)
