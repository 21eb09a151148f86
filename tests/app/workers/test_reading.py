"""Large files are read by a worker, with progress, and their digests remembered for all processes of the home."""

from __future__ import annotations

import hashlib
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import distributed
import pytest

from app.workers import reading
from app.workers.reading import Readings, read_files
from core.data import digests
from core.data.files import stamp


class Future:
    def __init__(self, client: Any) -> None:
        self.client, self.status, self.value = client, "pending", ""

    def result(self, timeout: float) -> str:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Client:
    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.future = Future(self)

    def submit(self, *words: Any, key: str, fifo_timeout: str, resources: dict[str, int]) -> Future:
        assert resources == {"interactive-home": 1}
        self.asked.append(words)
        return self.future


@pytest.fixture
def large(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(digests, "LARGE", 10)
    file = tmp_path / "weights"
    file.write_bytes(b"x" * 1000)
    return stamp(file)


def test_a_worker_reads_tells_and_remembers(large, monkeypatch):
    told = []
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(log_event=lambda *words: told.append(words)))
    assert read_files([tuple(large)], "topic") == ""
    assert told == [("topic", "1000")]
    digests._read_here.clear()
    assert digests.remembered(large) == hashlib.sha256(b"x" * 1000).hexdigest()
    Path(large.path).unlink()
    digests._read_here.clear()
    gone = large._replace(size=1001)
    assert "cannot be read" in read_files([tuple(gone)], "topic")


def test_files_are_asked_for_once_and_followed(large, monkeypatch):
    client = Client()
    connection = SimpleNamespace(client=lambda: client, resource=lambda name: f"{name}-home")
    monkeypatch.setattr(reading, "events_of", lambda client, topic: ((1.0, "300"), (2.0, "700")))
    readings = Readings(cast("Any", connection))
    assert readings.look([large]).read == 700
    assert readings.look([large]).ended is False
    assert len(client.asked) == 1
    client.future.status, client.future.value = "finished", "It cannot be read."
    assert readings.look([large]).problem == readings.look([large]).problem == "It cannot be read."
    client.future.value = ""
    assert readings.look([large]).ended
    assert len(client.asked) == 1
    client.future.value = CancelledError()
    assert readings.look([large]) is None
    client.future.status = "lost"
    assert readings.look([large]) is None


def test_without_a_worker_nobody_is_asked(large):
    assert Readings(cast("Any", SimpleNamespace(client=lambda: None))).look([large]) is None
