"""The keeper hands a job over by a ticket of its store, to workers of its version, unless another scheduler has claimed it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.workers import keeper as keeper_module
from app.workers.away import carry
from app.workers.away.parcel import Ticket, desk_topic
from app.workers.device_workers import needed_resources
from app.workers.homes import seat
from app.workers.identity import store_token
from app.workers.keeper import Keeper
from cache import RunRecord, Store
from cache.claims import Claims
from core.spec import RunSpec
from tests.app.workers.processes import wait_for


class Client:
    """A scheduler with one worker, which carries out nothing."""

    status = "running"

    def __init__(self) -> None:
        self.handed: list[tuple[Any, str, str, dict[str, float]]] = []
        self.topics: dict[str, Any] = {}

    def subscribe_topic(self, topic: str, handler: Any) -> None:
        self.topics[topic] = handler

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {"tls://there": {"name": "there", "memory_limit": 2**30, "resources": needed_resources()}}}

    def processing(self) -> dict[str, list[str]]:
        return {}

    def submit(self, task: Any, ticket: str, *, key: str, resources: dict[str, float], fifo_timeout: str) -> Any:
        self.handed.append((task, ticket, key, resources))
        return SimpleNamespace(status="pending", add_done_callback=lambda done: None)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(tmp_path))
    monkeypatch.delenv("PRUNESCOPE_SCHEDULER", raising=False)
    monkeypatch.setattr("distributed.fire_and_forget", lambda future: None)
    monkeypatch.setattr(keeper_module, "_WAITING", 0.05)
    made = Store(tmp_path)
    yield made
    made.close()


def ask(store: Store, letter: str) -> RunRecord:
    record = RunRecord(key=letter * 64, spec=RunSpec(), state="queued", submitted=5.0)
    store.put_record(record)
    return record


def test_a_job_is_handed_over_by_a_ticket_that_the_sharing_worker_works_off(store, monkeypatch):
    record, client = ask(store, "a"), Client()
    keeper = Keeper(store, cast("Any", client))
    task, ticket, name, resources = cast("Any", wait_for(lambda: client.handed and client.handed[0], 20))
    keeper.close()
    assert desk_topic(store_token(Path(store.home))) in client.topics
    assert task is carry.carry
    assert resources == needed_resources()
    assert Ticket.model_validate_json(ticket).name == name
    worked = []
    monkeypatch.setattr(carry, "TASKS", {"run": lambda *given: worked.append(given)})
    task(ticket)
    assert worked == [(record.key, 5.0)]


def test_a_job_that_another_scheduler_has_claimed_is_left_to_it(store):
    ask(store, "a")
    other = Claims(store.rows, "tls://elsewhere")
    other.beat()
    assert other.take(f"run-{'a' * 64}-5000")
    ask(store, "b")
    client = Client()
    keeper = Keeper(store, cast("Any", client))
    wait_for(lambda: client.handed, 20)
    time.sleep(0.3)
    keeper.close()
    assert [name for _, _, name, _ in client.handed] == [f"run-{'b' * 64}-5000"]
    assert seat(store.home).startswith("local-")
