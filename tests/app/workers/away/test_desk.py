"""A desk and its courier in one process, without Dask and torch: what is missing is sent once, what is written comes home."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import pytest
from distributed.core import Status

from app.workers import process, queue
from app.workers.away import carry, courier, desk, inputs
from app.workers.away.courier import Courier
from app.workers.away.parcel import PIECE, Ticket
from app.workers.identity import store_token
from cache import RunRecord, Store, run_key
from cache.space import DiskFull
from core.data.places import models_root
from core.models.sources import resolve_model
from core.records import RunResult
from core.run.revisions import revisions
from core.spec import RunSpec

RESULT = RunResult.model_validate_json((Path(carry.__file__).parents[2] / "gallery" / "wanda-0.5.json").read_text())
SPEC = RunSpec(model="small")


class Line:
    """A client whose calls reach the desk of this process, until it is cut."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails_at = ""
        self._run = None

    def sync(self, _: Any, function: Any, *arguments: Any, workers: list[str], callback_timeout: float) -> dict[str, Any]:
        self.calls.append(function.__name__)
        if function.__name__ == self.fails_at:
            self.fails_at = ""
            raise OSError("cut")
        return {workers[0]: function(*arguments)}

    def log_event(self, topic: str, message: str) -> None:
        self.calls.append(json.loads(message)["stage"])


class Bench:
    """A store with a run, a worker of another home, and what its task does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.line = Store(folder / "home"), Line()
        self.key = run_key(SPEC, revisions(SPEC))
        self.store.put_record(RunRecord(key=self.key, spec=SPEC, state="queued", submitted=5.0))
        (self.job,) = queue.jobs(self.store)
        self.rings: list[dict[str, str]] = []
        self.work: Any = lambda store: None
        self.seen: dict[str, Any] = {}
        self.worker = SimpleNamespace(address="tls://there", log_event=self._ring, status=Status.running)
        monkeypatch.setattr(distributed, "get_worker", lambda: self.worker)
        monkeypatch.setattr(desk, "TASKS", {"run": self._task})
        monkeypatch.setattr(process, "import_core", lambda: None)
        self.courier: Courier | None = None
        self.closed = False

    def start(self) -> threading.Thread:
        ticket = Ticket(kind="run", key=self.key, submitted=5.0, name=self.job.name, store=store_token(self.store.home))
        thread = threading.Thread(target=carry.carry, args=(ticket.model_dump_json(),), daemon=True)
        thread.start()
        return thread

    def _ring(self, topic: str, message: dict[str, str]) -> None:
        self.rings.append(message)
        if self.courier is None or not self.courier.alive:
            self.courier = Courier(self.store, self.line, self.job, message["address"], lambda: self.closed)
        self.courier.ring()

    def _task(self, key: str, attempt: float) -> None:
        store = process.open_store()
        self.seen = {"home": store.home, "model": resolve_model("small").path, "record": store.record(key)}
        store.change_record(key, lambda now: now.begun() if now else None)
        self.work(store)


def block(store: Store, key: str, number: int, size: int = 10) -> None:
    folder = store.journal(key).folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"block-{number:05d}.safetensors").write_bytes(bytes([number]) * size)
    (folder / f"block-{number:05d}.json").write_text(f"record {number}")


def finish(store: Store, key: str) -> None:
    store.put_result(key, RESULT)
    store.put_document("dense-x", "a dense model")
    store.put_document("rate-cpu", "of this host")
    store.change_record(key, lambda now: now.finished(RESULT) if now else None)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    models = tmp_path / "models" / "small"
    models.mkdir(parents=True)
    demo = resolve_model("demo").path
    for file in demo.iterdir():
        (models / file.name).write_bytes(file.read_bytes())
    (models / "code.py").write_text("never sent")
    monkeypatch.setenv("PRUNESCOPE_HOME", str(tmp_path / "worker"))
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(inputs, "_by_name", lambda asked: False)
    monkeypatch.setattr(inputs, "list_models", tuple)
    monkeypatch.setattr(desk, "_RING", 0.2)
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.closed = True
    made.store.close()


def done(thread: threading.Thread) -> bool:
    thread.join(20)
    return not thread.is_alive()


def test_what_is_missing_is_sent_once_and_what_is_written_comes_home(bench):
    block(bench.store, bench.key, 0)
    sizes = (3 * PIECE + 17, 5)

    def work(store: Store) -> None:
        assert (store.journal(bench.key).folder / "block-00000.safetensors").read_bytes() == bytes(10)
        for number, size in enumerate(sizes, 1):
            block(store, bench.key, number, size)
        finish(store, bench.key)

    bench.work = work
    assert done(bench.start())
    assert bench.seen["home"] != bench.store.home
    assert bench.seen["model"].is_relative_to(inputs.default_home() / "received")
    assert {file.name for file in bench.seen["model"].iterdir()} >= {"config.json", "model.safetensors"}
    assert not (bench.seen["model"] / "code.py").exists()
    record = bench.store.record(bench.key)
    assert (record.state, record.submitted) == ("finished", 5.0)
    assert bench.store.result(bench.key) == RESULT
    assert bench.store.document("dense-x") == "a dense model"
    assert bench.store.document("rate-cpu") is None
    folder = bench.store.journal(bench.key).folder
    for number, size in enumerate((10, *sizes)):
        assert (folder / f"block-{number:05d}.safetensors").read_bytes() == bytes([number]) * size
        assert (folder / f"block-{number:05d}.json").read_text() == f"record {number}"
    assert len(list(folder.iterdir())) == 6
    assert not list((inputs.default_home() / "away").iterdir())
    assert bench.line.calls.count("receive") == bench.line.calls.count("load") >= 3
    assert record.started
    bench.store.put_record(record.model_copy(update={"state": "queued"}))
    bench.store.put_document(f"result-{bench.key}", "gone")
    bench.line.calls.clear()
    assert done(bench.start())
    assert bench.line.calls.count("receive") == 5 + 4  # the blocks, one of them in pieces: the model is there
    assert bench.store.record(bench.key).state == "finished"


@pytest.mark.parametrize("cut", ["look", "give", "receive", "read", "take"])
def test_a_courier_that_is_cut_off_is_called_again(bench, cut):
    def work(store: Store) -> None:
        block(store, bench.key, 0, PIECE + 1)
        finish(store, bench.key)

    bench.work, bench.line.fails_at = work, cut
    assert done(bench.start())
    assert bench.store.record(bench.key).state == "finished"
    assert bench.store.result(bench.key) == RESULT
    assert (bench.store.journal(bench.key).folder / "block-00000.safetensors").stat().st_size == PIECE + 1


def test_a_run_that_was_cancelled_is_given_up_and_its_rows_stay_away(bench):
    begun = threading.Event()

    def work(store: Store) -> None:
        begun.set()
        while store.record(bench.key).active:
            time.sleep(0.01)
        store.put_result(bench.key, RESULT)

    bench.work = work
    thread = bench.start()
    assert begun.wait(20)
    bench.store.change_record(bench.key, lambda now: now.cancelled())
    assert done(thread)
    assert bench.store.record(bench.key).state == "cancelled"
    assert bench.store.result(bench.key) is None


def test_a_full_disk_at_home_is_waited_for_and_said(bench, monkeypatch):
    monkeypatch.setattr(courier, "_RETRY", 0.05)
    free = iter([0, 0])
    monkeypatch.setattr(courier, "free_bytes", lambda home: next(free, 10**12))

    def work(store: Store) -> None:
        block(store, bench.key, 0)
        finish(store, bench.key)

    bench.work = work
    assert done(bench.start())
    assert bench.line.calls.count("room") == 2
    assert bench.store.record(bench.key).state == "finished"
    assert isinstance(DiskFull("/", 1), Exception)


@pytest.mark.parametrize(("bound", "room", "told"), [("0.0001", 10**12, "PRUNESCOPE_SEND_GB"), ("50", 1000, "free on the disk")])
def test_a_model_that_may_not_be_sent_ends_the_run_in_words(bench, monkeypatch, bound, room, told):
    monkeypatch.setenv("PRUNESCOPE_SEND_GB", bound)
    monkeypatch.setattr(desk, "free_bytes", lambda folder: room)
    assert done(bench.start())
    record = bench.store.record(bench.key)
    assert record.state == "failed"
    assert told in record.error
    assert "PRUNESCOPE_MODELS" in record.error


def test_finished_blocks_that_find_no_room_end_the_run_in_words(bench, monkeypatch):
    monkeypatch.setattr(inputs, "_by_name", lambda asked: True)  # model and texts are there
    block(bench.store, bench.key, 0)
    monkeypatch.setattr(desk, "free_bytes", lambda folder: 1000)
    assert done(bench.start())
    record = bench.store.record(bench.key)
    assert record.state == "failed"
    assert "of finished blocks" in record.error
    assert "Free some space there" in record.error
    assert bench.store.journal(bench.key).blocks == 1
    assert "receive" not in bench.line.calls


@pytest.mark.parametrize(("more", "told"), [(b"", "something else"), (b"  ", "has changed")])
def test_a_model_that_arrives_changed_is_refused(bench, monkeypatch, more, told):
    config = models_root() / "small" / "config.json"
    describe = courier.describe

    def changing(*given: Any) -> Any:
        found = describe(*given)
        config.write_bytes(config.read_bytes().replace(b"4096", b"4097") + more)
        return found

    monkeypatch.setattr(courier, "describe", changing)
    assert done(bench.start())
    record = bench.store.record(bench.key)
    assert record.state == "failed"
    assert told in record.error


def test_a_worker_that_shares_the_store_works_on_it(bench, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(bench.store.home))
    monkeypatch.setattr(carry, "TASKS", {"run": lambda key, attempt: bench.seen.update(given=(key, attempt))})
    assert done(bench.start())
    assert bench.seen["given"] == (bench.key, 5.0)
    assert bench.rings == []


def test_a_worker_that_has_lost_its_scheduler_computes_for_nobody(bench):
    begun, ended = threading.Event(), threading.Event()

    def work(store: Store) -> None:
        begun.set()
        while store.record(bench.key).active:
            time.sleep(0.01)
        ended.set()

    bench.work = work
    thread = bench.start()
    assert begun.wait(20)
    bench.closed, bench.worker.status = True, Status.closing
    assert ended.wait(20)
    assert done(thread)
    assert bench.store.record(bench.key).active
