"""Names of tasks that a page offers, without opening any. No torch, no lm-eval."""

from __future__ import annotations

import re

from core.data.places import tasks_root
from core.evaluate.embedded_task import NAME

# of the literature on pruning: the seven of Thanos, RTE as in Wanda and Boža's ADMM, LAMBADA; their rows are on the hub
PAPERS = ("winogrande", "openbookqa", "boolq", "piqa", "hellaswag", "arc_easy", "arc_challenge", "rte", "lambada_openai")
TASK_LINE = re.compile(rb"^task:[ \t]*['\"]?([\w.+-]+)", re.MULTILINE)


def own_tasks() -> tuple[str, ...]:
    """Tasks below PRUNESCOPE_TASKS."""
    root = tasks_root()
    try:
        return tuple(sorted({name.decode() for file in root.rglob("*.yaml") for name in TASK_LINE.findall(file.read_bytes())}))
    except OSError:
        return ()


def offered_tasks() -> tuple[str, ...]:
    """The embedded text's task, those of PRUNESCOPE_TASKS, and those of the papers."""
    return tuple(dict.fromkeys((NAME, *own_tasks(), *PAPERS)))
