"""Runs of the command line on a scheduler: what the process that asks for them says, and what becomes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.cli import remote
from core.export.folder import MemoryJournal
from core.records import RunResult
from core.spec import RunSpec, make_method
from core.spec.errors import InputChanged, PruneError

RESULT = RunResult.model_validate_json((Path(remote.__file__).parents[2] / "app" / "gallery" / "wanda-0.5.json").read_text())
SPECS = [RunSpec(method=make_method(name)) for name in ("magnitude", "wanda", "thanos")]
STARTED = subprocess.Popen


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A process that keeps what it was asked, then says these lines."""
    lines, given = [], tmp_path / "given.json"

    def start(words, **options):
        assert words[1:] == ["-m", "app.workers", "batch"]
        script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read()); sys.stdout.write(sys.argv[2])"
        return STARTED([sys.executable, "-c", script, str(given), "".join(json.dumps(line) + "\n" for line in lines)], **options)

    monkeypatch.setattr(remote.subprocess, "Popen", start)
    return lines, lambda: json.loads(given.read_text())


def result(spec: RunSpec) -> dict:
    return RESULT.model_copy(update={"spec": spec}).model_dump(mode="json")


def test_results_are_taken_in_any_order_and_a_failure_is_that_run_s_own(asked, capsys):
    lines, given = asked
    lines += [{"note": "No worker takes this run."}, {"run": 2, "result": result(SPECS[2]), "blocks": []},
              {"run": 0, "error": "The disk is full."}, {"run": 1, "result": result(SPECS[1]), "blocks": []}]
    take = remote.together(SPECS, weights=False)
    with pytest.raises(PruneError, match=r"^The disk is full\.$"):
        take(SPECS[0])
    assert take(SPECS[1], dense=None, journal=None).spec == SPECS[1]
    assert take(SPECS[2], expected=RESULT.revisions).spec == SPECS[2]
    assert "No worker takes this run." in capsys.readouterr().err
    assert [RunSpec.model_validate(spec) for spec in given()["runs"]] == SPECS
    assert (given()["weights"], given()["confined"]) == (False, False)


def test_weights_come_into_the_journal(asked, tmp_path):
    lines, given = asked
    layers = [layer.model_dump(mode="json") for layer in RESULT.layers if layer.block == 0]
    save_file({"a": torch.eye(2)}, tmp_path / "block-00000.safetensors")
    block = {"tensors": str(tmp_path / "block-00000.safetensors"), "layers": layers}
    lines.append({"run": 0, "result": result(SPECS[0]), "blocks": [block]})
    journal = MemoryJournal()
    remote.run(SPECS[0], journal=journal, expected=None, title="")
    assert torch.equal(journal.weights["a"], torch.eye(2))
    assert list(journal.states[0].layers) == [layer for layer in RESULT.layers if layer.block == 0]
    assert given()["weights"] is True


def test_other_inputs_than_expected_and_a_process_that_ends_are_told(asked):
    lines, _ = asked
    lines.append({"run": 0, "result": result(SPECS[0]), "blocks": []})
    with pytest.raises(InputChanged):
        remote.run(SPECS[0], journal=None, expected=RESULT.revisions.model_copy(update={"model": "other"}), title="")
    lines.clear()
    with pytest.raises(PruneError, match="has ended"):
        remote.run(SPECS[0], journal=None, expected=None, title="")


def test_nothing_is_asked_for_where_everything_is_known(asked):
    assert callable(remote.together([], weights=False))
