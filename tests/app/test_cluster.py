"""Real Dask processes: found again, started once, replaced when dead, ended on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app import cluster, tasks

ROOT = Path(__file__).resolve().parents[2]
ENSURE = "import sys; from pathlib import Path; from app.cluster import ensure_cluster; print(ensure_cluster(Path(sys.argv[1])))"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One cluster for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("shared-home")
    yield folder
    cluster.stop_cluster(folder)


@pytest.fixture
def own_home(tmp_path):
    """A home whose cluster a test may break."""
    yield tmp_path
    cluster.stop_cluster(tmp_path)


def processes(home: Path) -> dict[str, int]:
    return dict(cluster.cluster_status(home)["processes"])


def started_by_another_process(home: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", ENSURE, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_web_servers_at_once_start_one_cluster_which_outlives_them(home):
    first, second = started_by_another_process(home), started_by_another_process(home)
    addresses = {server.communicate(timeout=60)[0].strip() for server in (first, second)}
    assert first.returncode == second.returncode == 0
    assert len(addresses) == 1
    before = processes(home)
    assert set(before) == {"scheduler", "device-0", "interactive-0"}
    assert cluster.ensure_cluster(home) in addresses
    assert processes(home) == before
    running = [process for process in psutil.process_iter(["cmdline"]) if str(home) in " ".join(process.info["cmdline"] or [])]
    assert len(running) == 3


def test_workers_listen_on_loopback_and_compute_with_all_cores_in_the_root(home):
    connection = cluster.Connection(home, lambda client: None)
    client = connection.wait()
    client.wait_for_workers(2, timeout=30)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    assert sorted((worker["name"], tuple(worker["resources"].items()), worker["nthreads"]) for worker in workers) == [
        ("device-0", (("device", 1.0),), 1), ("interactive-0", (("interactive", 1.0), ("quick", 1.0)), 2)]

    def look() -> tuple[str, str, str, str]:
        return os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"], os.getcwd(), os.environ["PRUNESCOPE_HOME"]

    assert set(client.run(look).values()) == {(str(tasks.threads()), str(tasks.threads()), str(ROOT), str(home))}
    listening = {place.laddr.ip for pid in processes(home).values() for process in family(pid)
                 for place in process.net_connections("tcp") if place.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    connection.close()


def family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=5)


def test_a_dead_scheduler_is_replaced_with_its_workers(own_home):
    old = cluster.ensure_cluster(own_home)
    before = processes(own_home)
    workers = [process for name, pid in before.items() if name != "scheduler" for process in family(pid)]
    kill(before["scheduler"])
    file = next(own_home.rglob("scheduler.json"))
    assert json.loads(file.read_text())["address"] == old
    new = cluster.ensure_cluster(own_home)
    assert new != old
    assert not set(processes(own_home).values()) & set(before.values())
    assert not [process for process in workers if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_file_of_a_scheduler_that_never_was_is_not_believed(own_home):
    folder = cluster._folder(own_home)
    (folder / "scheduler.json").write_text('{"address": "tcp://127.0.0.1:9"}')
    (folder / "processes.json").write_text(json.dumps({"scheduler": {"pid": os.getpid(), "created": 1.0}, "device-0": {}}))
    assert processes(own_home) == {}
    cluster.stop_cluster(own_home)  # must not end this process, whose number is in the file
    (folder / "scheduler.json").write_text('{"address": "tcp:')
    address = cluster.ensure_cluster(own_home)
    assert address == cluster.cluster_status(own_home)["address"]
    kill(processes(own_home)["device-0"])
    before = processes(own_home)
    assert cluster.ensure_cluster(own_home) == address
    after = processes(own_home)
    assert "device-0" not in before
    assert set(after) == {"scheduler", "device-0", "interactive-0"}
    assert after["scheduler"] == before["scheduler"]


@pytest.mark.parametrize("mend", [True, False])
def test_a_missing_worker_is_seen_while_connected(own_home, mend, monkeypatch):
    """When a run is asked for, and else now and then while a page asks: the scheduler alone would keep it waiting for ever."""
    connection = cluster.Connection(own_home, lambda client: None)
    client = connection.wait()
    before = processes(own_home)
    kill(before["device-0"])
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 1000.0 if mend else 0.0)
    assert connection.client(mend=mend) is client
    wait_for_thread(connection)
    assert {name for name, pid in processes(own_home).items() if before[name] != pid} == {"device-0"}
    assert client.submit(os.getpid, resources={"device": 1}).result(timeout=30) > 0
    connection.close()


@pytest.mark.parametrize("other", ["code", "models"])
def test_a_new_web_server_replaces_workers_of_other_code_and_an_old_one_leaves_them(own_home, other, monkeypatch, tmp_path):
    connection = cluster.Connection(own_home, lambda client: None)
    connection.wait()
    before = processes(own_home)
    if other == "code":
        next(own_home.rglob("code")).write_text("of another version")
    else:
        monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    connection.client(mend=True)
    wait_for_thread(connection)
    assert processes(own_home) == before
    updated = cluster.Connection(own_home, lambda client: None)
    updated.wait()
    after = processes(own_home)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    connection.wait()
    assert processes(own_home) == after
    connection.close()
    updated.close()


def wait_for_thread(connection: cluster.Connection) -> None:
    connection._thread.join(timeout=30)
    assert not connection._thread.is_alive()


def test_the_command_line_says_and_ends(own_home):
    address = cluster.ensure_cluster(own_home)
    pids = processes(own_home).values()

    def ask(word: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "app.cluster", word], cwd=ROOT, capture_output=True, text=True, check=False,
                              env={**os.environ, "PRUNESCOPE_HOME": str(own_home)}, timeout=30)

    assert json.loads(ask("status").stdout)["address"] == address
    assert json.loads(ask("stop").stdout) == {"home": str(own_home), "address": None, "processes": {}}
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert ask("dance").returncode == 2


def test_a_scheduler_of_one_s_own_is_used_and_nothing_is_started(home, own_home, monkeypatch):
    address = cluster.ensure_cluster(home)
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", address)
    met = []
    connection = cluster.Connection(own_home, met.append)
    client = connection.wait()
    assert client.scheduler.address == address
    assert client.submit(os.getpid, resources={"device": 1}, pure=False).result(timeout=30) > 0
    assert met == [client]
    assert processes(own_home) == {}
    connection.close()


def test_an_unreachable_scheduler_is_said_and_does_not_block(own_home, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:9")
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    connection = cluster.Connection(own_home, lambda client: None)
    assert connection.client() is None
    with pytest.raises(cluster.ClusterError, match=r"cannot be reached.*127\.0\.0\.1:9.*Start that scheduler"):
        connection.wait()


@pytest.mark.parametrize(("listed", "chosen", "expected"), [
    ("GPU 0: NVIDIA H100 (UUID: GPU-aa-1)\nGPU 1: NVIDIA H100 (UUID: GPU-bb-2)\n", None, ["GPU-aa-1", "GPU-bb-2"]),
    ("GPU 0: NVIDIA H100 (UUID: GPU-aa-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-cc-3)\n", None, ["MIG-cc-3"]),
    ("GPU 0: NVIDIA H100 (UUID: GPU-aa-1)\n", "1, 3", ["1", "3"]),
    ("GPU 0: NVIDIA H100 (UUID: GPU-aa-1)\n", "", []),
    ("", None, []),
])
def test_one_device_worker_for_each_gpu(tmp_path, monkeypatch, listed, chosen, expected):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{listed}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    lanes = tasks.lanes()
    devices = [lane for lane in lanes if lane.resources == ("device",)]
    assert [lane.gpu for lane in devices] == (expected or [None])
    assert len({lane.name for lane in lanes}) == len(lanes) == len(devices) + 1
    assert sum(lane.memory for lane in lanes) == pytest.approx(1)
