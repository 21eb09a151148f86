"""One shipped run, in a process that does nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping

from core.records import Evaluated, Finished, Revisions, RunResult, TaskScores
from core.spec import RunSpec


def compute(spec: RunSpec, expected: Revisions, dense: Evaluated | None, tasks: tuple[str, ...] = (),
            scores: Mapping[str, TaskScores] | None = None, *, timed: bool = False) -> RunResult:
    """The result of a run of these revisions, scored on `tasks`, and `timed` with size and speed. PRUNESCOPE_THREADS says how many threads.

    `dense` and `scores` are the unpruned model's perplexity and scores where they are known of these revisions.
    """
    import torch

    from core.export.folder import MemoryJournal
    from core.run.pipeline import prune

    torch.set_num_threads(int(os.environ.get("PRUNESCOPE_THREADS") or torch.get_num_threads()))
    journal = MemoryJournal() if tasks or timed else None
    *_, last = prune(spec, journal=journal, dense=dense, expected=expected)
    assert isinstance(last, Finished)
    result = last.result
    if journal is not None and tasks:
        from core.evaluate.tasks import open_tasks
        from core.evaluate.zero_shot import score_tasks

        result = result.model_copy(update={"tasks": score_tasks(spec, open_tasks(tasks), journal.weights, scores)})
    if journal is not None and timed:
        from core.evaluate.size_and_speed import size_and_speed
        from core.evaluate.speed import Workload

        size, speed = size_and_speed(spec, journal.weights, Workload(batches=(1,)), shape=result.shape)
        result = result.model_copy(update={"size": size, "speed": speed})
    return result
