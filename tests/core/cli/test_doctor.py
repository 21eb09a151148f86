"""The command `doctor`, on this machine and on machines where something is missing."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from core.cli import doctor
from core.cli.commands import app


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def call(*words):
    return CliRunner().invoke(app, ["doctor", *words])


def checks(done):
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_this_machine_computes_what_the_tests_compute(prunescope_home):
    done = call("--json", "-")
    found = checks(done)
    assert done.exit_code == 0, done.output
    needed = ("Python", "Packages", "torch", "GPU", "Compiled kernels", "Home", "Models and texts")
    assert {found[name]["state"] for name in needed} == {"good"}
    assert torch.__version__ in found["torch"]["found"]
    assert str(prunescope_home) in found["Home"]["found"]
    assert found["Hub"]["state"] == "missing"
    assert all(check["remedy"] for check in found.values() if check["state"] != "good")


def test_what_cannot_be_relied_on_is_told_with_its_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PRUNESCOPE_HOME", str(tmp_path / "file" / "home"))
    done = call()
    assert done.exit_code == 1
    assert f"{tmp_path / 'file' / 'home'}: Not a directory" in done.stdout
    assert "Set PRUNESCOPE_HOME to a folder that you may write to" in done.stdout


def test_another_version_than_the_pinned_one_is_told(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("# pins\ntorch==2.13.0\nnumpy==0.0.1\nno-such-package[extra]==3.0\n")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    found = doctor._packages("Packages")
    assert found.state == "wrong"
    assert found.found.endswith("(pinned: 0.0.1), no-such-package missing (pinned: 3.0)")
    assert "torch" not in found.found
    assert "pip install -r requirements.txt" in found.remedy


def test_a_driver_without_a_build_for_it_is_told(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("a GPU can be used here")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    found = doctor._gpu("GPU")
    assert found.state == "missing"
    assert "torch" in found.found


def test_a_kernel_that_computes_something_else_is_found(monkeypatch):
    monkeypatch.setattr("core.linalg.row_systems.solve_rows", lambda system, weight, pruned: weight)
    assert doctor._compiled("Compiled kernels").state == "wrong"


def test_a_check_that_fails_does_not_end_the_others(monkeypatch):
    def broken(name):
        raise RuntimeError("no such thing")

    monkeypatch.setitem(doctor._CHECKS, "torch", broken)
    found = {check.name: check for check in doctor.examine()}
    assert found["torch"].state == "wrong"
    assert "RuntimeError: no such thing" in found["torch"].found
    assert list(found) == list(doctor._CHECKS)
