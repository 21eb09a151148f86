"""Pruned models from the command line: of a new run, and of one that is in a file."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from core.cli.commands import app
from core.spec import RunSpec
from tests.core.families import save_family


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    text = f"windows:{save_family('llama', tmp_path) / 'windows.npy'}"
    return ["--model", "llama", "--pattern", "0.5", "--calibration", text, "--evaluation", text, "--windows", "8"]


def call(*words: str):
    return CliRunner().invoke(app, list(words))


def weights_of(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_run_is_exported_again_from_any_of_its_files(words, tmp_path):
    done = call("prune", *words, "--save", str(tmp_path / "first"), "--json", str(tmp_path / "run.json"))
    assert done.exit_code == 0, done.output
    before = weights_of(tmp_path / "first")
    sweep = {"runs": [json.loads((tmp_path / "run.json").read_text())]}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    for place, file in enumerate(("run.json", "sweep.json", "first/prunescope.json", "first/recipe.json")):
        done = call("export", str(tmp_path / file), "--save", str(tmp_path / f"again-{place}"))
        assert done.exit_code == 0, done.output
        assert "The record says" not in done.output
        after = weights_of(tmp_path / f"again-{place}")
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_prune_writes_a_zip(words, tmp_path):
    done = call("prune", *words, "--zip", str(tmp_path / "taken.zip"))
    assert done.exit_code == 0, done.output
    assert "taken/model.safetensors" in zipfile.ZipFile(tmp_path / "taken.zip").namelist()
    refused = call("prune", *words, "--zip", str(tmp_path / "taken.zip"))
    assert refused.exit_code == 2
    assert "does not exist yet" in refused.output


def test_a_record_that_was_computed_elsewhere_is_told(words, tmp_path):
    call("prune", *words, "--json", str(tmp_path / "run.json"))
    record = json.loads((tmp_path / "run.json").read_text())
    record["pruned"]["perplexity"] *= 1.01
    (tmp_path / "run.json").write_text(json.dumps(record))
    done = call("export", str(tmp_path / "run.json"), "--save", str(tmp_path / "again"))
    assert done.exit_code == 0, done.output
    assert "The record says perplexity" in done.output


@pytest.mark.parametrize(("content", "said"), [
    ("[1]", "something else"), ("{", "cannot be read"), ('{"runs": []}', "holds no runs"), ('{"runs": [{}, {}]}', "--number 1 to 2"),
    ('{"pattern": {"kind": "unstructured", "sparsity": 2}}', "sparsity")])
def test_a_file_that_is_no_run_is_refused(content, said, tmp_path):
    (tmp_path / "file.json").write_text(content)
    done = call("export", str(tmp_path / "file.json"), "--save", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")


def test_an_export_needs_a_place_and_the_model_of_the_record(words, tmp_path):
    (tmp_path / "spec.json").write_text(RunSpec(model="llama").model_dump_json())
    done = call("export", str(tmp_path / "spec.json"))
    assert done.exit_code == 2
    assert "--zip FILE" in done.output.replace("\n", " ")
    call("prune", *words, "--json", str(tmp_path / "run.json"))
    record = json.loads((tmp_path / "run.json").read_text())
    record["revisions"]["model"] = "0" * 64
    (tmp_path / "run.json").write_text(json.dumps(record))
    done = call("export", str(tmp_path / "run.json"), "--zip", str(tmp_path / "x.zip"))
    assert done.exit_code == 2
    assert "has changed" in done.output
