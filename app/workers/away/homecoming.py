"""Rows that came home from a worker's own store, entered into the store while the job is still wanted. No torch.

The times of a record are this host's: clocks of two hosts differ.
"""

from __future__ import annotations

import time
from typing import Any

from app.workers.queue import RUN, Job, requests_of
from cache import RunRecord, Store
from cache.requests import Request

_KEPT = ("result-", "dense-", "scores-", "scored-", "measured-")  # rows by content, or of the run itself


def rows_for(store: Store, job: Job, names: tuple[str, ...]) -> dict[str, str]:
    """Rows that a job may make use of: these, and of a job about a run its request, the run's result and all scores by content."""
    wanted = [*names, f"result-{job.key}", f"scored-{job.key}", f"measured-{job.key}"] if job.kind != RUN else list(names)
    if job.kind != RUN:
        wanted.append(requests_of(store)[job.kind].row(job.key))
    if job.kind == "score":
        wanted += store.documents("scores-")
    return {name: text for name in wanted if (text := store.document(name)) is not None}


def enter(store: Store, job: Job, name: str, text: str) -> None:
    """Enter a row. Raises DiskFull."""
    if job.kind == RUN and name == job.key:
        _enter_record(store, job, RunRecord.model_validate_json(text))
    elif job.kind != RUN and name == requests_of(store)[job.kind].row(job.key):
        requests = requests_of(store)[job.kind]
        came: Request = requests.model.model_validate_json(text)
        requests.change(job.key, lambda now: _continued(now, came) if now and now.is_attempt(job.submitted) else None)
    elif name.startswith(_KEPT):
        store.put_document(name, text)


def _enter_record(store: Store, job: Job, came: RunRecord) -> None:
    result = store.result(job.key) if came.state == "finished" else None

    def change(now: RunRecord | None) -> RunRecord | None:
        if now is None or not now.active or now.submitted != job.submitted:
            return None
        if came.state == "running":
            return now if now.state == "running" else now.begun()
        if came.state == "failed":
            return now.failed(came.error or "The worker gave no reason.")
        return now.finished(result) if result is not None else None

    store.change_record(job.key, change)


def _continued(now: Any, came: Request) -> Any:
    """The request of this home with the other's state and words."""
    said = {name: value for name, value in dict(came).items() if name not in ("key", "spec", "submitted", "heard")}
    return now.model_copy(update={**said, "heard": time.time()})
