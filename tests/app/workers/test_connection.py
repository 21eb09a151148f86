"""The pages' connection to real Dask processes: made in the background, mended when they are lost, never asked in vain."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from app.workers import cluster, lanes
from app.workers.cluster import ClusterError
from app.workers.connection import Connection
from app.workers.identity import own_identity, resource
from tests.app.workers.processes import family, kill, processes, wait_for

if TYPE_CHECKING:
    from distributed import Client

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[3]


def test_workers_listen_on_loopback_and_compute_with_all_cores_in_the_root(home):
    connection = Connection(home, lambda client: None)
    client = connection.wait()
    client.wait_for_workers(2, timeout=30)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    version = (resource(own_identity().version), 1.0)
    assert sorted((worker["name"], tuple(worker["resources"].items()), worker["nthreads"]) for worker in workers) == [
        ("device-0", (("device", 1.0), version), 1), ("interactive-0", (("interactive", 1.0), ("quick", 1.0), version), 2)]

    def look() -> tuple[str, str, str, str]:
        return os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"], os.getcwd(), os.environ["PRUNESCOPE_HOME"]

    assert set(client.run(look).values()) == {(str(lanes.threads()), str(lanes.threads()), str(ROOT), str(home))}
    listening = {place.laddr.ip for pid in processes(home).values() for process in family(pid)
                 for place in process.net_connections("tcp") if place.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    connection.close()


@pytest.mark.parametrize("mend", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_missing_worker_is_seen_while_connected(home, mend, monkeypatch):
    """When a run is asked for, and else now and then while a page asks: the scheduler alone would keep it waiting for ever."""
    connection = Connection(home, lambda client: None)
    client = connection.wait()
    before = processes(home)
    kill(before["device-0"])
    monkeypatch.setattr("app.workers.connection._LOOK_SECONDS", 1000.0 if mend else 0.0)
    assert connection.client(mend=mend) is client
    wait_for_the_look(connection)
    assert {name for name, pid in processes(home).items() if before[name] != pid} == {"device-0"}
    assert client.submit(os.getpid, resources={"device": 1}).result(timeout=30) > 0
    connection.close()


@pytest.mark.parametrize("other", ["code", pytest.param("models", marks=pytest.mark.long)])
def test_a_new_web_server_replaces_workers_of_other_code_and_an_old_one_leaves_them(own_home, other, monkeypatch, tmp_path):
    connection = Connection(own_home, lambda client: None)
    connection.wait()
    before = processes(own_home)
    if other == "code":
        next(own_home.rglob("code")).write_text("of another version")
    else:
        monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    connection.client(mend=True)
    wait_for_the_look(connection)
    assert processes(own_home) == before
    updated = Connection(own_home, lambda client: None)
    updated.wait()
    after = processes(own_home)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    connection.wait()
    assert processes(own_home) == after
    connection.close()
    updated.close()


def wait_for_the_look(connection: Connection) -> None:
    wait_for(lambda: not connection._looking)


def test_a_scheduler_of_one_s_own_is_used_and_nothing_is_started(home, own_home, monkeypatch):
    address = cluster.ensure_cluster(home)
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", address)
    met = []
    stranger = Connection(own_home, met.append)
    with pytest.raises(ClusterError, match=r"certificate does not match.*PRUNESCOPE_KEYS"):
        stranger.wait()
    stranger.close()
    monkeypatch.setenv("PRUNESCOPE_KEYS", str(next(home.rglob("key.pem")).parent))
    connection = Connection(own_home, met.append)
    client = connection.wait()
    assert client.scheduler.address == address
    assert client.submit(os.getpid, resources={"device": 1}, pure=False).result(timeout=30) > 0
    assert met == [client]
    assert processes(own_home) == {}
    connection.close()


def test_an_unreachable_scheduler_is_said_and_does_not_block(own_home, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:9")
    monkeypatch.setattr("app.workers.connection._CONNECT_SECONDS", 1)
    connection = Connection(own_home, lambda client: None)
    assert connection.client() is None
    with pytest.raises(ClusterError, match=r"cannot be reached.*127\.0\.0\.1:9.*Start that scheduler"):
        connection.wait()



class Sluice:
    """`ensure_cluster` itself, that stays in a look after its work is done until it is let go."""

    def __init__(self) -> None:
        self.looked, self.go = threading.Event(), threading.Event()

    def __call__(self, home: Path, *, renew: bool) -> str:
        address = cluster.ensure_cluster(home, renew=renew)
        self.looked.set()
        assert self.go.wait(timeout=30)
        return address


def test_what_is_lost_during_a_look_is_looked_for_once_more(home, monkeypatch):
    """A scheduler that dies while a page's look goes on takes the queue with it, and nobody may ask again."""
    connection = Connection(home, lambda client: None)
    client = connection.wait()
    wait_for_the_look(connection)
    sluice = Sluice()
    monkeypatch.setattr("app.workers.connection.ensure_cluster", sluice)
    connection.client(mend=True)
    assert sluice.looked.wait(timeout=30)
    before = processes(home)
    kill(before["device-0"])
    assert connection.client(mend=True) is client
    sluice.go.set()
    wait_for_the_look(connection)
    assert {name for name, pid in processes(home).items() if before[name] != pid} == {"device-0"}
    connection.close()


@pytest.mark.parametrize("fault", ["no cluster", "no hand-over"])
def test_what_must_be_mended_is_tried_until_it_is(home, fault, monkeypatch):
    tried, met = [], []

    def first_fails() -> None:
        tried.append(time.monotonic())
        if len(tried) == 1:
            raise OSError("not yet")

    def ensure(home: Path, *, renew: bool) -> str:
        if fault == "no cluster":
            first_fails()
        return cluster.ensure_cluster(home, renew=renew)

    def hand_over(client: Client) -> None:
        if fault == "no hand-over":
            first_fails()
        met.append(client)

    monkeypatch.setattr("app.workers.connection.ensure_cluster", ensure)
    monkeypatch.setattr("app.workers.connection._RETRY_SECONDS", 0.1)
    connection = Connection(home, hand_over)
    connection.client(mend=True)
    wait_for_the_look(connection)
    assert (len(tried), connection.error) == (2, None)
    assert met == [connection.client()]
    connection.close()


def test_what_is_asked_for_during_the_hand_over_finds_the_client(home):
    """Else a run that is asked for after the queue was read would be given to nobody."""
    met = []
    connection = Connection(home, lambda client: met.append((client, connection.client())))
    client = connection.wait()
    wait_for_the_look(connection)
    assert met == [(client, client)]
    connection.close()


def test_a_connection_let_go_of_tries_no_more(own_home, monkeypatch):
    tried = []

    def ensure(home: Path, *, renew: bool) -> str:
        tried.append(home)
        raise OSError("not yet")

    monkeypatch.setattr("app.workers.connection.ensure_cluster", ensure)
    monkeypatch.setattr("app.workers.connection._RETRY_SECONDS", 0.05)
    connection = Connection(own_home, lambda client: None)
    connection.client(mend=True)
    wait_for(lambda: len(tried) > 2)
    assert "not yet. The connection is tried again every" in str(connection.error)
    connection.close()
    wait_for_the_look(connection)


def test_a_connection_let_go_of_before_its_first_look_makes_none(own_home, monkeypatch):
    connection = Connection(own_home, lambda client: None)
    inner = connection._look

    def late(closed: int) -> None:
        connection.close()
        inner(closed)

    monkeypatch.setattr(connection, "_look", late)
    connection.client(mend=True)
    wait_for_the_look(connection)
    assert processes(own_home) == {}
