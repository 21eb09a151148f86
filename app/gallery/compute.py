"""One shipped run, in a process that does nothing else."""

from __future__ import annotations

import os

from core.records import Evaluated, Finished, Revisions, RunResult
from core.spec import RunSpec


def compute(spec: RunSpec, expected: Revisions, dense: Evaluated | None) -> RunResult:
    """The result of a run of these revisions; `dense` where it is known of them. PRUNESCOPE_THREADS says how many threads."""
    import torch

    from core.run.pipeline import prune

    torch.set_num_threads(int(os.environ.get("PRUNESCOPE_THREADS") or torch.get_num_threads()))
    *_, last = prune(spec, dense=dense, expected=expected)
    assert isinstance(last, Finished)
    return last.result
