"""The command line, as a person calls it."""

import csv
import json

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.records import RunResult
from core.spec import METHODS
from core.words import WORDS
from tests.core.families import save_family

# More tokens than inputs: on a singular Gram matrix the optimum of every layer takes four times as long.
SMALL = ["--windows", "16", "--length", "64", "--evaluation-windows", "2", "--evaluation-length", "40"]


def call(*words: str):
    return CliRunner().invoke(app, list(words))


def test_prune_writes_one_json_object():
    done = call("prune", "--method", "wanda", "--pattern", "2:4", "--alpha", "0.1", "--json", "-", *SMALL)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"spec", "dense", "pruned", "counted_sparsity", "layers", "seconds", "peak_memory_bytes", "environment"} <= set(found)
    assert found["counted_sparsity"] == pytest.approx(0.45, abs=0.002)
    assert found["pruned"]["perplexity"] > 1
    assert {"name", "shape", "counted_sparsity", "relative_error", "optimum_error", "seconds"} <= set(found["layers"][0])
    assert RunResult.model_validate(found).spec.method.name == "wanda"


def test_prune_saves_a_model_that_evaluates_to_the_same(tmp_path, monkeypatch):
    done = call("prune", "--pattern", "0.6", "--save", str(tmp_path / "saved"), "--json", str(tmp_path / "run.json"), *SMALL)
    assert done.exit_code == 0, done.output
    assert "counted sparsity  60.0 %" in done.stdout
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    again = call("evaluate", "--model", "saved", "--json", "-", *SMALL[4:])
    expected = json.loads((tmp_path / "run.json").read_text())["pruned"]["perplexity"]
    assert json.loads(again.stdout)["perplexity"] == pytest.approx(expected, rel=1e-3)  # kept weights are rounded to fp16
    refused = call("prune", "--save", str(tmp_path / "saved"), *SMALL)
    assert refused.exit_code == 2
    assert "empty" in refused.output


def test_sweep_is_a_grid_that_continues(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    text = f"windows:{save_family('llama', tmp_path) / 'windows.npy'}"
    words = ["sweep", "--model", "llama", "--methods", "wanda,thanos", "--patterns", "0.5,2:4", "--json", str(tmp_path / "s.json"),
             "--csv", str(tmp_path / "s.csv"), "--calibration", text, "--evaluation", text, "--windows", "8"]
    assert call(*words, "--block-sizes", "8").exit_code == 0
    first = json.loads((tmp_path / "s.json").read_text())["runs"]
    assert [(run["spec"]["method"]["name"], run["spec"]["method"].get("block_size")) for run in first] == [
        ("wanda", None), ("wanda", None), ("thanos", 8), ("thanos", 8)]
    done = call(*words, "--block-sizes", "8,16")
    assert done.exit_code == 0, done.output
    runs = json.loads((tmp_path / "s.json").read_text())["runs"]
    assert len(runs) == 6
    old = {json.dumps(run["spec"]): run["seconds"] for run in first}
    assert all(run["seconds"] == old[json.dumps(run["spec"])] for run in runs if json.dumps(run["spec"]) in old)
    assert len(list(csv.reader((tmp_path / "s.csv").open()))) == 7


def test_sweep_does_not_overwrite_another_file(tmp_path):
    (tmp_path / "other.json").write_text('{"mine": 1}')
    done = call("sweep", "--json", str(tmp_path / "other.json"), *SMALL)
    assert done.exit_code == 2
    assert (tmp_path / "other.json").read_text() == '{"mine": 1}'


def test_listings():
    methods = call("methods").stdout
    assert all(name in methods for name in METHODS)
    assert "demo" in call("models").stdout


def test_every_word_is_a_documented_flag():
    text = call("prune", "--help").stdout
    assert all(f"--{word.replace('_', '-')}" in text for word in WORDS)


@pytest.mark.parametrize(("words", "said"), [
    (["--pattern", "1.5"], "less than 1"), (["--pattern", "-0.1"], "at least 0"), (["--pattern", "5:4"], "0 to m = 4"),
    (["--pattern", "half"], "0.5 or 50%"), (["--block-size", "0"], "at least 1"), (["--alpha", "1"], "less than 1"),
    (["--pattern", "columns:0.9", "--alpha", "0.2"], "lower α or p"), (["--method", "best"], "magnitude, wanda"),
    (["--model", "../x"], "below PRUNESCOPE_MODELS"), (["--model", "nothing"], "model: 'nothing'"), (["--length", "4096"], "2 to 512"),
    (["--calibration", "text:/no/file"], "a file that exists"), (["--method", "wanda", "--block-size", "8"], "a method that has it"),
    (["--pattern", "2:4", "--alpha", "0.1", "--alpha-budget", "iso"], "45.0 % counted"), (["--windows", "99999"], "Use fewer"),
])
def test_bad_input_is_said_and_ends_with_status_2(words, said):
    done = call("prune", *words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
