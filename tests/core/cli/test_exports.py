"""Pruned models from the command line: of a new run, and of one that is in a file."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from core.cli.commands import app
from core.export.folder_journal import FolderJournal
from core.run.journal import BlockState
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


def test_the_export_is_compared_with_its_run_in_words_and_json(words, tmp_path):
    done = call("prune", *words, "--save", str(tmp_path / "saved"), "--json", str(tmp_path / "run.json"))
    assert "export            opened again, perplexity" in done.stdout
    found = json.loads((tmp_path / "run.json").read_text())
    assert found == json.loads((tmp_path / "saved" / "prunescope.json").read_text())
    assert found["export"]["perplexity"] == pytest.approx(found["pruned"]["perplexity"], rel=1e-6)
    assert "opened again, perplexity" in (tmp_path / "saved" / "README.md").read_text()
    alone = call("prune", *words, "--json", "-")
    assert json.loads(alone.stdout)["export"] is None


def test_a_run_whose_model_cannot_be_written_keeps_its_numbers(words, tmp_path, monkeypatch):
    """Weights beyond float16's range, as a Thanos run at too little damping makes them."""
    folder = tmp_path / "llama"
    half = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in weights_of(folder).items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    write = FolderJournal.write

    def too_large(self, block, state):
        weights = dict(state.weights)
        name = next(iter(weights))
        weights[name] = weights[name].clone()
        weights[name][0, :5] = 1e5
        write(self, block, BlockState(layers=state.layers, weights=weights))

    monkeypatch.setattr(FolderJournal, "write", too_large)
    done = call("prune", *words, "--save", str(tmp_path / "saved"), "--json", str(tmp_path / "run.json"))
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "5 weights of model.layers.0.self_attn.q_proj and 5 in 1 other layers" in said
    assert "damping" in said
    assert json.loads((tmp_path / "run.json").read_text())["pruned"]["perplexity"] > 1
    assert not (tmp_path / "saved").exists()


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
