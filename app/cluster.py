"""The local workers and the queue from a terminal: `python -m app.cluster status | stop | queue | pause | resume`."""

from __future__ import annotations

import json
import sys
import time

from app.workers.cluster import main
from app.workers.lanes import lanes
from app.workers.waiting import summary
from cache import Store
from core.spec.errors import PruneError


def queue(word: str) -> int:
    """Pause or resume the queue of PRUNESCOPE_HOME, and print it as JSON; returns the exit code."""
    try:
        store = Store()
        if word != "queue":
            store.pause_queue(word == "pause")
    except PruneError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    workers = sum("device" in lane.resources for lane in lanes())
    sys.stdout.write(json.dumps(summary(store, workers=workers, now=time.time()), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(queue(words[0]) if words in (["queue"], ["pause"], ["resume"]) else main(words))
