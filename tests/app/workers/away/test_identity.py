"""Workers say who they are; one whose numbers could differ is refused, with the reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.workers.device_workers import device_workers, needed_resources
from app.workers.identity import Identity, declare, own_identity, refusals, resource, store_token
from cache import Store


def worker(identity: Identity | None, name: str = "one") -> dict[str, Any]:
    offered = {} if identity is None else {resource(identity.version): 1.0}
    return {"name": name, "memory_limit": 2**30, "resources": {"device": 1.0, **offered},
            **({} if identity is None else {"prunescope": identity.model_dump(mode="json")})}


def client(**workers: dict[str, Any]) -> Any:
    return SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers})


@pytest.mark.parametrize(("change", "told"), [
    ({"code": "f" * 64}, "other code of PruneScope (ffffffff there"),
    ({"packages": {**own_identity().packages, "torch": "2.0.1"}}, "torch 2.0.1 there"),
    ({"packages": {name: found for name, found in own_identity().packages.items() if name != "numba"}}, "numba none there"),
])
def test_a_worker_of_another_version_takes_no_run_and_says_why(change, told):
    own = own_identity()
    other = own.model_copy(update={"host": "far", **change})
    connected = client(a=worker(own), b=worker(other, "two"))
    assert list(device_workers(connected)) == ["a"]
    (reason,) = refusals(connected, own)
    assert "The worker two on far takes no runs from here" in reason
    assert told in reason


def test_a_worker_that_says_nothing_takes_no_run():
    connected = client(a=worker(None, "plain"))
    assert device_workers(connected) == {}
    (reason,) = refusals(connected, own_identity())
    assert "plain" in reason
    assert "does not say what it is" in reason
    assert refusals(client(a={**worker(None), "resources": {}}), own_identity()) == ()  # it does not compute runs at all


def test_host_and_home_do_not_matter_and_builds_of_torch_count_as_the_same(monkeypatch):
    own = own_identity()
    assert own.model_copy(update={"host": "far", "home": "/elsewhere", "store": ""}).version == own.version
    monkeypatch.setattr("app.workers.identity.version_of", lambda package: "2.13.0+cu130" if package == "torch" else "1.0")
    assert own_identity().packages["torch"] == "2.13.0"


def test_what_a_worker_declares_is_what_a_job_asks_for():
    state = SimpleNamespace(total_resources={"device": 1.0}, available_resources={"device": 1.0})
    started = SimpleNamespace(startup_information={}, state=state)
    declare(cast("Any", started))
    assert state.total_resources == state.available_resources == needed_resources()
    assert Identity.model_validate(started.startup_information["prunescope"](None)) == own_identity()


def test_a_store_is_shared_by_whoever_sees_the_same_folder_and_nobody_else(tmp_path):
    for name in ("one", "two"):
        Store(tmp_path / name).close()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert store_token(tmp_path / "link") == store_token(tmp_path / "one") != store_token(tmp_path / "two")
    assert store_token(tmp_path / "nowhere") == ""
