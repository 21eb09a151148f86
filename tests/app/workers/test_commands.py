"""The commands of several machines: what they start, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.workers import __main__ as commands
from app.workers import launch
from app.workers.lanes import Lane


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What would be kept alive, instead of it; without a GPU, whatever this machine has."""
    monkeypatch.setenv("PRUNESCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "")
    monkeypatch.setenv("PRUNESCOPE_KEYS", "")
    found = []
    monkeypatch.setattr(commands, "_keep_alive", lambda processes: found.extend(processes) or 0)
    return found


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_a_scheduler_makes_its_keys_says_where_and_speaks_tls(started, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PRUNESCOPE_KEYS", str(tmp_path / "volume" / "tls"))
    (tmp_path / "volume").mkdir()
    assert commands.main(["scheduler", "--port", "9000"]) == 0
    assert str(tmp_path / "volume" / "tls") in capsys.readouterr().out
    assert (tmp_path / "volume" / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    (process,) = started
    assert (option(process.command, "--protocol"), option(process.command, "--port")) == ("tls", "9000")
    settings = json.loads(Path(process.environment["DASK_CONFIG"]).read_text())["distributed"]
    assert settings["comm"]["require-encryption"] is True
    assert settings["comm"]["tls"]["scheduler"]["key"] == str(tmp_path / "volume" / "tls" / "key.pem")


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_workers_join_the_scheduler_with_names_of_their_own(started, monkeypatch, given):
    if given == "environment":
        monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://far:8786")
    words = ["worker", *(["tcp://far:8786"] if given == "argument" else []), "--count", "2", "--host", "10.0.0.7", "--memory-limit", "4GB"]
    assert commands.main(words) == 0
    names = {option(process.command, "--name") for process in started}
    assert len(names) == len(started) == 2
    for process in started:
        assert "tcp://far:8786" in process.command
        assert option(process.command, "--host") == "10.0.0.7"
        assert [word for at, word in enumerate(process.command) if process.command[at - 1] == "--memory-limit"][-1] == "4GB"
        assert option(process.command, "--resources") == "device=1"
        assert option(process.command, "--preload") == "app.workers.startup"
        assert "comm" not in json.loads(Path(process.environment["DASK_CONFIG"]).read_text())["distributed"]


def test_one_worker_for_each_gpu(started, monkeypatch):
    monkeypatch.setattr(commands, "lanes", lambda: tuple(
        Lane(name=f"device-{gpu}", resources=("device",), memory=0.3, gpu=f"GPU-{gpu}") for gpu in "ab"))
    assert commands.main(["worker", "tcp://far:8786"]) == 0
    assert [process.environment["CUDA_VISIBLE_DEVICES"] for process in started] == ["GPU-a", "GPU-b"]


@pytest.mark.parametrize(("words", "told"), [(["worker"], "PRUNESCOPE_SCHEDULER"), (["worker", "far:8786"], "tls://HOST:8786")])
def test_an_address_that_is_none_is_refused(started, capsys, words, told):
    assert commands.main(words) == 2
    assert told in capsys.readouterr().err
    assert started == []


def test_keys_of_another_scheduler_do_not_overwrite_those_of_this_home(started, tmp_path, monkeypatch):
    home = tmp_path / "home"
    launch.write_settings(home, tls=True)
    own = (launch.cluster_folder(home) / "dask.yaml").read_text()
    assert commands.main(["worker", "tcp://far:8786"]) == 0
    assert (launch.cluster_folder(home) / "dask.yaml").read_text() == own
