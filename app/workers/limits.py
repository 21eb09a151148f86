"""Limits of the queue: how many runs may be queued or running, of one person and in all. No torch.

    PRUNESCOPE_QUEUE_PER_PERSON (200)      a person: who has signed in, else a browser, all its tabs; sweeps count as well
    PRUNESCOPE_QUEUE_TOTAL (2000)          all together; 0 in either means no run is taken
"""

from __future__ import annotations

import os

from cache import Store
from cache.records import ACTIVE
from core.spec.errors import BadInput

PER_PERSON, TOTAL = ("PRUNESCOPE_QUEUE_PER_PERSON", 200), ("PRUNESCOPE_QUEUE_TOTAL", 2000)


def limit(variable: tuple[str, int]) -> int:
    """The limit that the environment sets, or its default. Raises BadInput."""
    name, default = variable
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise BadInput(name, text, "a whole number, 0 or more", "Change it, and start PruneScope again.")
    return int(text)


def require_place(store: Store, group: str) -> None:
    """Raises BadInput where one run more would exceed a limit. `group`: of the run; what stands before its first "-" is the person."""
    total = limit(TOTAL)
    if store.count(ACTIVE) >= total:
        raise BadInput("queue", f"{total} runs of all people are queued or running", f"at most {total} ({TOTAL[0]})",
                       "Wait until some are finished, or have this server started with a higher limit.")
    person, own = group.partition("-")[0], limit(PER_PERSON)
    if person and store.count_active(person) >= own:
        raise BadInput("queue", f"{own} of your runs are queued or running", f"at most {own} a person ({PER_PERSON[0]})",
                       "Wait until some are finished, or cancel some on the Runs page.")
