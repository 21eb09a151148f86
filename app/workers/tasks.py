"""Tasks of the workers: compute a run, plan one. The web server imports this for their names: torch only inside functions.

The record in the store is the one truth about a run: a task looks at it between events, and stops as soon as the run was
canceled, deleted or asked for again. The journal stays, so that asking again continues.
"""

from __future__ import annotations

import gc
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from app.workers import logs, process, queue
from app.workers.inputs import require_unchanged
from app.workers.patience import PatientJournal, patiently
from app.workers.process import log, require_memory
from cache import RunRecord, Store, dense_key, plan_key
from cache.space import DiskFull
from core.models.inputs import require_same
from core.records import Event, Finished, LayerPruned, Plan, Progress, Revisions, RunResult, Started
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PROGRESS_SECONDS = 0.3  # at most one progress event in this time


def topics(name: str) -> tuple[str, str]:
    """Topics where the task of this name announces its layers (few, all kept) and its progress (many, the latest counts)."""
    return f"{name}-layers", f"{name}-progress"


def task_name(record: RunRecord) -> str:
    """The name of a run's task."""
    return queue.task_name("run", record.key, record.submitted)


def run(key: str, attempt: float) -> None:
    """Compute a run, from its journal on where there is one. The outcome goes into the store, whatever it is; on a full disk as soon as
    there is room. `attempt` is when the run was asked for: one that was canceled since, or asked for again, is not computed."""
    with logs.about(key):
        _run(key, attempt)


def _run(key: str, attempt: float) -> None:
    store = process.open_store()
    record = _change(store, key, attempt, RunRecord.begun)
    if record is None or not _wanted(record, attempt):
        return
    log.info("run %s begun", key)
    try:
        result = store.result(key) or _follow(store, record)
        if result is not None:
            patiently(lambda: store.put_result(key, result), lambda: _wanted(store.record(key), attempt))
            _change(store, key, attempt, lambda record: record.finished(result))
            log.info("run %s finished in %.1f s", key, result.seconds)
        if store.record(key) is None:
            store.delete(key)  # deleted while it ran: what was still written goes too
    except Cancelled:
        return
    except Exception as error:
        log.exception("run %s failed", key)
        reason = process.failure_words(error)
        _change(store, key, attempt, lambda record: record.failed(reason))
    finally:
        free_memory()


def _change(store: Store, key: str, attempt: float, change: Callable[[RunRecord], RunRecord]) -> RunRecord | None:
    """Change the record of an attempt that is still wanted, as soon as there is room for it."""
    return patiently(lambda: store.change_record(key, lambda record: change(record) if record and _wanted(record, attempt) else None))


def plan(spec_json: str) -> str | None:
    """Put the plan of a spec into the store; returns None, or why there is none."""
    try:
        process.use_all_cores()
        from core.run.planning import plan as make_plan

        spec = RunSpec.model_validate_json(spec_json)
        found = revisions(spec)
        made = make_plan(spec)
        require_same(found.addresses, revisions(spec).addresses, spec)
        process.open_store().put_plan(plan_key(spec, found), made)
    except Exception as error:
        log.exception("plan failed")
        return process.failure_words(error)
    return None


def _follow(store: Store, record: RunRecord) -> RunResult | None:
    """The result, or None if the run is not wanted any more."""
    process.use_all_cores()
    from core.run.pipeline import prune

    spec = record.spec
    found = require_unchanged(spec, record.key)
    require_memory(_plan(store, spec, found), spec)
    dense = [dense_key(*text) for text in zip(spec.on_each_text, found.on_each_text, strict=True)]
    announce = _Announcer(task_name(record))
    latest = Progress(stage="load", block=0, blocks=0, fraction=0.0, seconds=0.0)

    def wanted() -> bool:
        return _wanted(store.record(record.key), record.submitted)

    def tell(error: DiskFull) -> None:
        announce(latest.model_copy(update={"stage": "room", "note": str(error), "seconds_left": None}))

    events = prune(spec, journal=PatientJournal(store.journal(record.key), wanted, tell), dense=[store.dense(one) for one in dense],
                   expected=found)
    for event in events:
        if isinstance(event, Finished):
            for one, text in zip(dense, event.result.on_each_text, strict=True):
                patiently(lambda one=one, text=text: store.put_dense(one, text.dense), wanted, tell)
            return event.result
        latest = event if isinstance(event, Progress) else latest
        announce(event)
        if not wanted():
            cast("Generator[Event]", events).close()
            return None
    raise RuntimeError("the pipeline ended without a result")


def _plan(store: Store, spec: RunSpec, found: Revisions) -> Plan:
    """The plan of a run, made where nobody has looked at it before."""
    from core.run.planning import plan as make_plan

    key = plan_key(spec, found)
    known = store.plan(key)
    if known is None:
        known = make_plan(spec)
        require_same(found.addresses, revisions(spec).addresses, spec)
        with suppress(DiskFull):  # it is of use without being kept
            store.put_plan(key, known)
    return known


class _Announcer:
    """Sends a run's events to the scheduler, where any web server finds them."""

    def __init__(self, name: str) -> None:
        from distributed import get_worker

        self._layers, self._progress = topics(name)
        self._worker = get_worker()
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started | LayerPruned):
            self._worker.log_event(self._layers, event.model_dump_json())
        elif isinstance(event, Progress) and time.monotonic() >= self._last + PROGRESS_SECONDS:
            self._last = time.monotonic()
            self._worker.log_event(self._progress, event.model_dump_json())


def _wanted(record: RunRecord | None, attempt: float) -> bool:
    return record is not None and record.active and record.submitted == attempt


def free_memory() -> None:
    """Give back what the last computation held."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
