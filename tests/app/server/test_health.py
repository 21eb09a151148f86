"""Health: a page and JSON, what a probe without the token sees, and what is told of a broken installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.server import health
from app.server.gate import Gate
from app.shared import access
from app.workers.health import WorkerHealth, examine
from cache import Store
from core.spec import RunSpec
from tests.cache.examples import record_of

pytestmark = pytest.mark.faults
TOKEN = "a-token-of-some-length"


@pytest.fixture
def client(prunescope_home: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(health, "_last", [])
    monkeypatch.setattr(health, "_SECONDS", 0.0)
    store = Store(prunescope_home)
    store.put_record(record_of("a", spec=RunSpec(model="demo"), estimated=5.0))
    store.put_record(record_of("b", state="finished"))
    store.close()
    return TestClient(Starlette(routes=health.routes()))


def test_nothing_is_started_and_everything_is_told(client: TestClient, prunescope_home: Path) -> None:
    answer = client.get("/health.json")
    found = answer.json()
    assert (answer.status_code, answer.headers["cache-control"], found["state"]) == (200, "no-store", "ok")
    assert found["store"]["runs"] == {"queued": 1, "running": 0, "finished": 1, "failed": 0, "cancelled": 0}
    assert [entry["position"] for entry in found["queue"]["jobs"]] == [1]
    assert {"python", "torch", "streamlit", "distributed", "prunescope"} <= set(found["versions"])
    assert found["scheduler"] is None
    assert not (prunescope_home / "cluster").exists() or not list((prunescope_home / "cluster").rglob("processes.json"))
    page = client.get("/health")
    assert "All is well" in page.text
    assert "not started yet" in page.text
    assert "<script" not in page.text


def test_what_is_wrong_is_told_with_its_state(client: TestClient, prunescope_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(prunescope_home)
    store.pause_queue(True)
    store.close()
    paused = client.get("/health.json")
    assert (paused.status_code, paused.json()["state"]) == (200, "degraded")
    assert "python -m app.cluster resume" in paused.json()["problems"][0]
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:9")
    monkeypatch.setattr("app.workers.health._CONNECT_SECONDS", 1)
    lost = client.get("/health")
    assert lost.status_code == 503
    assert "does not answer" in lost.text


def test_a_store_that_cannot_be_opened_is_down(client: TestClient, prunescope_home: Path) -> None:
    (prunescope_home / "store" / "records" / "cache.db").write_bytes(b"")
    answer = client.get("/health.json")
    assert (answer.status_code, answer.json()["state"]) == (503, "down")
    assert "cannot be opened" in answer.json()["problems"][0]


def test_a_probe_without_the_token_sees_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    gated = TestClient(Gate(client.app, TOKEN))
    assert gated.get("/health.json").status_code == 401
    assert "runs" not in gated.get("/health").text
    assert gated.get("/health.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()["state"] == "ok"
    monkeypatch.setattr(access, "login_configured", lambda: True)  # no gate then: the state alone, but for the token
    monkeypatch.setenv("PRUNESCOPE_TOKEN", TOKEN)
    assert client.get("/health.json").json() == {"state": "ok"}
    assert "Store" not in client.get("/health").text
    assert "store" in client.get("/health.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert client.get("/health.json", headers={"Authorization": "Bearer wrong"}).json() == {"state": "ok"}


def test_names_from_elsewhere_are_no_markup(client: TestClient, prunescope_home: Path) -> None:
    worker = WorkerHealth(name="<script>x</script>", resources=("device",), threads=1, memory=1, memory_limit=None, seen=0.0, tasks=())
    found = examine(prunescope_home, None).model_copy(update={"workers": (worker,)})
    assert "&lt;script&gt;" in health.page(found, whole=True)
    assert "<script" not in health.page(found, whole=True)
    assert json.loads(found.model_dump_json())["state"] == "down"
