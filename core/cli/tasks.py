"""Zero-shot tasks on the command line: options, scoring with a progress bar, a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from core.cli.options import notes, progress_bar
from core.cli.screen import Screen
from core.records import RemovedShape, RunResult
from core.records.tasks import Score, TaskScores, average, average_difference
from core.spec import RunSpec
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from core.evaluate.tasks import OpenTask

TasksOption = Annotated[str | None, typer.Option("--tasks", help="Zero-shot tasks, with commas: lm-eval's, those of --task-folder, or "
                                                 "embedded_words (made from the embedded text, without a network).")]
FolderOption = Annotated[Path | None, typer.Option("--task-folder", help="A folder with YAML files of tasks. Functions that they name "
                                                   "are run: use folders that you trust.")]
LimitOption = Annotated[int | None, typer.Option("--limit", help="Only the first N examples of each task. Such scores cannot be compared "
                                                 "with others.")]


def open_asked(names: str | None, folder: Path | None, limit: int | None) -> tuple[OpenTask, ...]:
    """The tasks that the options ask for, opened before anything is computed. Raises BadInput."""
    if names is None:
        for field, value in (("task_folder", folder), ("limit", limit)):
            if value is not None:
                raise BadInput(field, str(value), "nothing without --tasks", "Name the tasks: --tasks a,b.")
        return ()
    from core.evaluate.tasks import open_tasks, split_names

    return open_tasks(split_names(names), folder, limit)


def score(spec: RunSpec, tasks: tuple[OpenTask, ...], weights: Mapping[str, Tensor] | None = None,
          dense: Mapping[str, TaskScores] | None = None, *, shape: RemovedShape | None = None,
          expected: str | None = None) -> dict[str, TaskScores]:
    """Score with a progress bar on a terminal. `shape`: of the pruned model, where it shrank. `expected`: content address of the model that
    was pruned."""
    from core.evaluate.zero_shot import score_tasks

    names = ", ".join(task.name for task in tasks)
    with progress_bar() as bar:
        line = bar.add_task(f"{spec.model} · {names}", total=1.0)
        return score_tasks(spec, tasks, weights, dense, lambda share: bar.update(line, completed=share), shape=shape, expected=expected)


def require_memory(spec: RunSpec, *wanted: object, pruned: bool) -> None:
    """Raises BadInput where something of what is `wanted` needs the model whole in memory, and it is too large."""
    if any(wanted):
        from core.evaluate.measured_model import require_whole

        require_whole(spec, pruned=pruned)


def has_tasks(result: RunResult, tasks: tuple[OpenTask, ...]) -> bool:
    """True if a stored run has the scores of these tasks, on the same examples."""
    stored = result.tasks or {}
    return all(task.name in stored and stored[task.name].content == task.content for task in tasks)


def dense_scores(result: RunResult) -> dict[str, TaskScores]:
    """The unpruned model's scores beside a run's."""
    return {name: scores.dense for name, scores in (result.tasks or {}).items() if scores.dense is not None}


def show_tasks(tasks: Mapping[str, TaskScores]) -> None:
    """A line for each metric of each task; averages over the tasks below."""
    paired = any(scores.dense for scores in tasks.values())
    listing = Table("task", "metric", *(("dense", "pruned", "dense − pruned") if paired else ("score",)), "chance", "examples", box=None)
    for name, scores in tasks.items():
        for metric, found in scores.scores.items():
            before = scores.dense.scores.get(metric) if scores.dense else None
            columns = (_number(before), _number(found), _number(scores.difference(metric) if before else None)) if paired else (
                _number(found),)
            chance = f"{scores.chance:.3f}" if scores.chance is not None and metric.startswith("acc") else ""
            listing.add_row(name, metric, *columns, chance, _examples(scores))
    mean, change = average(tasks), average_difference(tasks)
    if mean is not None and len(tasks) > 1:
        dense = average(dense) if (dense := {name: scores.dense for name, scores in tasks.items() if scores.dense}) else None
        columns = (_number(dense), _number(mean), _number(change)) if paired else (_number(mean),)
        listing.add_row(f"mean of {len(tasks)}", "acc", *columns, "", ", ".join(tasks))
    Screen(highlight=False).print(listing)
    cut = {name: scores.truncated for name, scores in tasks.items() if scores.truncated}
    for name, count in cut.items():
        notes.print(f"{name}: {count} prompts were longer than the model's context and were cut from the left.", highlight=False)


def _number(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.value:.4f}" + (f" ± {score.stderr:.4f}" if score.stderr is not None else "")


def _examples(scores: TaskScores) -> str:
    return f"not comparable: {scores.examples} of {scores.available} examples" if scores.limited else str(scores.examples)
