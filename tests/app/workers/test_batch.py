"""Runs that the command line asks a scheduler for: all at once, each told when it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.workers import batch as batch_module
from app.workers.batch import Batch
from cache import RunRecord, Store
from core.records import RunResult
from core.spec import RunSpec, make_method
from core.spec.errors import BadInput

RESULT = RunResult.model_validate_json((Path(batch_module.__file__).parents[1] / "gallery" / "wanda-0.5.json").read_text())
SPECS = [RunSpec(method=make_method(name)) for name in ("magnitude", "wanda", "thanos")]


class FakeJobs:
    """The client of workers that do what `after` says of a spec, one look later."""

    def __init__(self, folder: Path) -> None:
        self.store, self.after, self.asked, self.cancelled = Store(folder), dict[str, Any](), list[str](), list[str]()

    def submit(self, spec: RunSpec, *, group: str) -> str:
        assert group.startswith("-command-")
        key = f"{SPECS.index(spec):064d}"
        self.asked.append(key)
        if isinstance(refused := self.after.get(spec.method.name), BadInput):
            raise refused
        self.store.put_record(RunRecord(key=key, spec=spec, state="running", submitted=1.0))
        return key

    def progress(self, key: str) -> Any:
        record = self.store.record(key)
        assert record is not None
        if self.after.get(record.spec.method.name):
            self.store.put_record(record.failed("It is too large."))
        else:
            self.store.put_result(key, RESULT)
            self.store.put_record(record.finished(RESULT))
        return SimpleNamespace(latest=None)

    def problem(self) -> None:
        return None

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_module, "_LOOK", 0.001)
    made = FakeJobs(tmp_path)
    yield made
    made.store.close()


def test_all_are_asked_for_at_once_and_each_end_is_told(jobs):
    jobs.after = {"wanda": True, "thanos": BadInput("model", "x", "a model", "Look at its name.")}
    told: list[Any] = []
    Batch(cast("Any", jobs), SPECS, weights=False, tell=told.append).carry_out()
    assert jobs.asked == [f"{index:064d}" for index in range(3)]
    ends = {line["run"]: line for line in told}
    assert RunResult.model_validate(ends[0]["result"]) == RESULT
    assert ends[1]["error"] == "It is too large."
    assert "Look at its name." in ends[2]["error"]


def test_a_result_whose_blocks_are_gone_is_computed_again_where_weights_are_wanted(jobs):
    key = jobs.submit(SPECS[0], group="-command-1")
    jobs.store.put_result(key, RESULT)
    told: list[Any] = []
    batch = Batch(cast("Any", jobs), SPECS[:1], weights=True, tell=told.append)
    batch.carry_out()
    assert jobs.asked == [key] * 3
    assert "without its pruned weights" in told[-1]["error"], "once more, and not without end"
    jobs.asked.clear()
    Batch(cast("Any", jobs), SPECS[:1], weights=False, tell=lambda line: None).carry_out()
    assert jobs.asked == [key]


def test_what_has_not_ended_is_cancelled(jobs):
    batch = Batch(cast("Any", jobs), SPECS, weights=False, tell=lambda line: None)
    batch._waiting = {1: "a" * 64}
    batch.cancel()
    assert jobs.cancelled == ["a" * 64]
