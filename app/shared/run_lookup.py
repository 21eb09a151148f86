"""Lookup of the run that the controls ask for: the run itself, or the last good answer beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.shared import resources, state
from cache.keys import run_key
from cache.records import RunRecord
from core.records import RunResult
from core.spec import RunSpec
from core.spec.errors import PruneError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A result on the page. `origin`: kept in the store, or shipped with the program; `ended` is when it was computed."""

    result: RunResult
    origin: Literal["store", "gallery"]
    ended: float
    fits: bool  # whether it answers what the controls ask
    name: str = ""  # by which a person calls the run


@dataclass(frozen=True, kw_only=True)
class View:
    """The state of the page. `key` and `record` belong to what the controls ask for; `answer` may be an older one."""

    key: str | None
    record: RunRecord | None
    answer: Answer | None
    problem: str | None = None
    outdated: bool = False  # the answer was made with another model, text or method version than today's

    @property
    def active(self) -> bool:
        """True if the run that the controls ask for is queued or running."""
        return self.record is not None and self.record.active


def look(spec: RunSpec | None) -> View:
    """Find the run for a spec, and the answer to show."""
    if spec is None:
        return View(key=None, record=None, answer=_last())
    store = resources.store()
    problem, today = None, None
    try:
        today = resources.jobs().key(spec)
    except PruneError as error:
        problem = str(error)
    key, record = _opened(spec)
    outdated = key is not None and today is not None and key != today
    if key is None and today is not None:
        key, record = today, store.record(today)
    result = store.result(key) if key and record and record.state == "finished" else None
    if result is not None and key is not None and record is not None:
        state.remember("shown", key)
        fitting = Answer(result=result, origin="store", ended=record.ended or result.environment.started, fits=True,
                         name=record.name)
        return View(key=key, record=record, answer=fitting, problem=problem, outdated=outdated)
    shipped = next((item for item in resources.gallery() if item.spec == spec), None)
    if shipped is not None and record is None:
        differs = today is not None and run_key(shipped.spec, shipped.revisions) != today
        return View(key=key, record=None, problem=problem, answer=_shipped(shipped, fits=True), outdated=differs)
    waiting = record is not None and record.active  # its own preview and progress are shown, not the answer to something else
    return View(key=key, record=record, answer=None if waiting else _last(), problem=problem)


def _opened(spec: RunSpec) -> tuple[str | None, RunRecord | None]:
    """The run that a link opened, while the controls still ask for it: it may be older than today's revisions."""
    key = state.recall("opened", "")
    record = resources.store().record(key) if key else None
    return (key, record) if record is not None and record.spec == spec else (None, None)


def _last() -> Answer | None:
    """The last answer of this tab, else the newest finished run of the demo model, else the shipped example."""
    store = resources.store()
    record = store.record(state.recall("shown", "")) or resources.newest_demo()
    result = store.result(record.key) if record else None
    if record is not None and result is not None:
        return Answer(result=result, origin="store", ended=record.ended or result.environment.started, fits=False,
                      name=record.name)
    return _shipped(resources.gallery()[0], fits=False) if resources.gallery() else None


def _shipped(result: RunResult, *, fits: bool) -> Answer:
    return Answer(result=result, origin="gallery", ended=result.environment.started, fits=fits)
