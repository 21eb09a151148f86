"""NaN and infinity: told with the tensor or the stage where they come from, never as a number."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from core.cli.commands import app
from core.models.open_model import open_model
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput, NotFinite
from tests.core.families import save_family


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    text = f"windows:{save_family('llama', tmp_path) / 'windows.npy'}"
    return RunSpec(model="llama", method=make_method("wanda"), pattern=parse_pattern("0.5"),
                   calibration=Calibration(source=text, windows=4), evaluation=Evaluation(source=text, windows=3))


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.1.mlp.up_proj.weight", "model.embed_tokens.weight"])
def test_a_nan_in_the_checkpoint_is_named_with_its_tensor_and_ends_the_command(name, spec, tmp_path):
    file = tmp_path / "llama" / "model.safetensors"
    tensors = load_file(file)
    tensors[name].flatten()[3:5] = torch.nan
    save_file(tensors, file, metadata={"format": "pt"})
    told = tmp_path / "out.json"
    for command, own in (("evaluate", []), ("prune", ["--calibration", spec.calibration.source, "--windows", "4"])):
        words = [command, "--model", "llama", "--evaluation", spec.evaluation.source, "--json", str(told)]
        done = CliRunner().invoke(app, [*words, *own])
        assert done.exit_code == 2, done.output
        assert f"2 of {tensors[name].numel():,} entries of {name} are NaN" in done.output
        assert "16" not in done.output.split("are NaN")[1].split(str(tmp_path))[0], "float16 has nothing to do with it"
        assert not told.exists()


def test_a_weight_that_float16_cannot_hold_is_told_as_that(spec, tmp_path):
    file = tmp_path / "llama" / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.0.mlp.down_proj.weight"][0, 0] = 1e5
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"1 of 2,304 entries of model.layers.0.mlp.down_proj.weight are infinite.*float16.*bfloat16"):
        list(prune(spec.model_copy(update={"dtype": "float16"})))


@pytest.mark.parametrize(("where", "words"), [
    ("model.norm", "Perplexity of the dense model: the loss is no number in 3 of 3 windows.*final norm"),
    ("model.layers.1.input_layernorm", r"Block 2 of 2, dense model, evaluation text .windows of windows.npy.: .* are NaN"),
])
def test_a_nan_that_the_model_computes_is_told_with_its_stage(where, words, spec, monkeypatch):
    def opened(*arguments, **named):
        made = open_model(*arguments, **named)
        made.model.get_submodule(where).weight.data[0] = torch.nan
        return made

    monkeypatch.setattr("core.run.pipeline.open_model", opened)
    with pytest.raises(NotFinite, match=words):
        list(prune(spec))


def test_json_holds_no_infinity(spec):
    *_, last = prune(spec)
    json.dumps(last.result.model_dump(mode="json"), allow_nan=False)
