"""Real Dask processes: found again, started once, replaced when dead, ended on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.workers import cluster, lanes, launch
from tests.app.workers.processes import family, kill, processes

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[3]
ENSURE = "import sys; from pathlib import Path; from app.workers.cluster import ensure_cluster; print(ensure_cluster(Path(sys.argv[1])))"


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
    folder = launch.cluster_folder(own_home)
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
    found = lanes.lanes()
    devices = [lane for lane in found if lane.resources == ("device",)]
    assert [lane.gpu for lane in devices] == (expected or [None])
    assert len({lane.name for lane in found}) == len(found) == len(devices) + 1
    assert sum(lane.memory for lane in found) == pytest.approx(1)
