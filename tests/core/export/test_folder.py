"""An exported folder is the dense one's with the pruned weights: every other tensor to the bit, every other file, nothing that runs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from core.export import check
from core.export import folder as exporting
from core.export.folder import RECORD, MemoryJournal, require_exportable, save_checkpoint
from core.records import RunResult
from core.run.evaluation import evaluate
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput, ExportDiffers
from tests.core.families import FAMILIES, save_family
from tests.core.models.saved import COMMIT


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return tmp_path


def pruned(folder: Path, method: str = "thanos", **changes: Any) -> tuple[RunResult, dict[str, Tensor]]:
    """The run of a folder below PRUNESCOPE_MODELS, and its weights by layer name."""
    source = f"windows:{folder / 'windows.npy'}"
    spec = RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   method=make_method(method), pattern=parse_pattern("0.5"), **changes)
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    assert last.kind == "finished"
    return last.result, journal.weights


def stored(folder: Path) -> dict[str, Tensor]:
    return {key: tensor for file in sorted(folder.glob("*.safetensors")) for key, tensor in load_file(file).items()}


def header(file: Path) -> bytes:
    content = file.read_bytes()
    return content[: 8 + int.from_bytes(content[:8], "little")]


def mixed(folder: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    """Matrices of a saved model in `dtype`, its norms and biases in float32, and masks that transformers ignores."""
    file = folder / "model.safetensors"
    tensors = {key: tensor.to(dtype) if tensor.ndim > 1 else tensor.float() for key, tensor in load_file(file).items()}
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.rand(4)
    save_file(tensors, file, metadata={"format": "pt", "origin": "a test"})
    return tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_all_but_the_pruned_weights_is_as_it_was(models: Path, dtype: torch.dtype) -> None:
    folder = save_family("llama", models)
    before = mixed(folder, dtype)
    result, weights = pruned(folder)
    written = save_checkpoint(result, weights, models / "saved")
    after = stored(models / "saved")
    assert after.keys() == before.keys()
    assert header(models / "saved" / "model.safetensors") == header(folder / "model.safetensors")
    layers = {f"{name}.weight" for name in weights}
    for key, tensor in before.items():
        assert after[key].dtype == tensor.dtype, key
        if key in layers:
            assert torch.equal(after[key], weights[key.removesuffix(".weight")].to(dtype)), key
            assert int((after[key] == 0).sum()) >= after[key].numel() // 2
        else:
            assert torch.equal(after[key], tensor), key
    assert written.export is not None
    assert written.export.rounded == (dtype in (torch.float16, torch.bfloat16))
    assert RunResult.model_validate_json((models / "saved" / RECORD).read_text()) == written


@pytest.mark.parametrize("family", FAMILIES)
def test_the_check_is_of_the_export_as_anybody_opens_it(models: Path, family: str) -> None:
    result, weights = pruned(save_family(family, models), method="wanda")
    export = save_checkpoint(result, weights, models / "saved").export
    assert export is not None
    assert export.windows == 5
    assert export.perplexity == pytest.approx(evaluate(result.spec.model_copy(update={"model": "saved"})).perplexity, rel=1e-6)
    assert export.run_perplexity == pytest.approx(result.pruned.perplexity, rel=1e-6)
    assert export.difference == export.perplexity - export.run_perplexity
    assert abs(export.difference) < 1e-4
    assert f"perplexity {export.perplexity:.2f} on the first 5 windows" in export.words


def test_shards_and_their_index_stay_and_come_before_the_configuration(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_family("llama", models)
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(models / "sharded", max_shard_size="20KB")
    (models / "sharded" / "windows.npy").write_bytes((folder / "windows.npy").read_bytes())
    dense = stored(models / "sharded")
    index = json.loads((models / "sharded" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    result, weights = pruned(models / "sharded")
    order: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append(Path(target).name), replace(self, target))[1])
    save_checkpoint(result, weights, models / "saved")
    assert order[-2:] == ["model.safetensors.index.json", "config.json"]
    assert json.loads((models / "saved" / "model.safetensors.index.json").read_text()) == index
    after = stored(models / "saved")
    assert after.keys() == dense.keys()
    assert {key for key in dense if not torch.equal(dense[key], after[key])} == {f"{name}.weight" for name in weights}
    assert (models / "saved" / "model-00001-of-0000{}.safetensors".format(len(set(index["weight_map"].values())))).is_file()


def test_a_checkpoint_without_the_heads_prefix_is_exported_under_its_own_names(models: Path) -> None:
    folder = save_family("gpt2", models)
    file = folder / "model.safetensors"
    save_file({key.removeprefix("transformer."): tensor for key, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    result, weights = pruned(folder)
    save_checkpoint(result, weights, models / "saved")
    after = stored(models / "saved")
    assert after.keys() == load_file(file).keys()
    assert torch.equal(after["h.1.mlp.c_fc.weight"], weights["transformer.h.1.mlp.c_fc"].t())


def test_a_checkpoint_that_cannot_be_written_in_place_is_refused_before_the_run(models: Path) -> None:
    """Both names end alike, and none is the layer's own: which of them transformers reads is not for us to guess."""
    folder = save_family("gpt2", models)
    require_exportable(RunSpec(model="gpt2"))
    require_exportable(RunSpec(model="owner/of-a-hub-model-that-is-not-here"))
    file = folder / "model.safetensors"
    tensors = load_file(file)
    weight = tensors.pop("transformer.h.0.attn.c_attn.weight")
    save_file({**tensors, "a.h.0.attn.c_attn.weight": weight, "b.h.0.attn.c_attn.weight": weight.clone()}, file)
    with pytest.raises(BadInput, match=r"transformer\.h\.0\.attn\.c_attn as one matrix of 32×96"):
        require_exportable(RunSpec(model="gpt2"))


def test_a_hub_snapshot_is_exported_as_files_not_links(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_family("llama", models)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    repository = models / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()
    for number, file in enumerate(sorted(folder.glob("*.*"))):
        if file.suffix != ".npy":
            file.rename(repository / "blobs" / str(number))
            (snapshot / file.name).symlink_to(Path("../../blobs") / str(number))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(models / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = (snapshot / "model.safetensors").read_bytes()
    source = f"windows:{folder / 'windows.npy'}"
    spec = RunSpec(model="owner/name", calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   method=make_method("magnitude"))
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    assert last.kind == "finished"
    save_checkpoint(last.result, journal.weights, models / "saved")
    assert (models / "saved" / "chat_template.jinja").read_text() == "{{ messages }}"
    assert not any(file.is_symlink() for file in (models / "saved").iterdir())
    assert (snapshot / "model.safetensors").read_bytes() == before != (models / "saved" / "model.safetensors").read_bytes()


def test_weights_that_the_dtype_cannot_hold_are_refused_before_anything_is_written(models: Path) -> None:
    folder = save_family("llama", models)
    mixed(folder, torch.float16)
    result, weights = pruned(folder)
    name, other = "model.layers.1.mlp.up_proj", "model.layers.0.self_attn.q_proj"
    weights[name] = weights[name].clone()
    weights[name][0, :3] = torch.tensor([70000.0, -1e6, 65504.0])  # the last is float16's largest
    weights[other] = weights[other].clone()
    weights[other][5, 5] = 1e5
    with pytest.raises(BadInput) as caught:
        save_checkpoint(result, weights, models / "saved")
    words = str(caught.value)
    assert f"1 weights of {other} and 2 in 1 other layers" in words
    assert "float16 can hold, up to 65504" in words
    assert "damping" in words
    assert not (models / "saved").exists()
    del weights[other]
    weights[other] = torch.zeros(32, 32)
    with pytest.raises(BadInput, match=f"2 weights of {name}.*largest is 1e\\+06"):
        save_checkpoint(result, weights, models / "saved")


def test_an_export_that_is_not_the_run_is_an_error_and_is_taken_away(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_family("llama", models)
    result, weights = pruned(folder)
    wrong = {name: weight.roll(1, 0) for name, weight in weights.items()}
    copy = exporting.copy_pruned
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "copy_pruned", lambda source, given, *rest: copy(source, wrong, *rest))
        with pytest.raises(ExportDiffers, match=r"q_proj: .*not those of the run"):
            save_checkpoint(result, weights, models / "saved")
    assert not (models / "saved").exists()
    with pytest.raises(ExportDiffers, match="perplexity on the first 5 evaluation windows"):
        save_checkpoint(result, wrong, models / "deep" / "saved")
    assert not (models / "deep").exists()


def test_rounding_is_told_apart_from_a_fault(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 moves this perplexity by more than 1e-7, and only rounding is accepted as the reason."""
    folder = save_family("llama", models)
    mixed(folder, torch.bfloat16)
    result, weights = pruned(folder)
    monkeypatch.setattr(check, "TOLERANCE", 1e-7)
    export = save_checkpoint(result, weights, models / "saved").export
    assert export is not None
    assert export.rounded
    assert abs(export.difference) > 1e-6
    assert "weights are rounded to the checkpoint's dtype" in export.words
    with pytest.raises(ExportDiffers, match="perplexity on the first 5"):
        save_checkpoint(result, {name: weight.roll(1, 0) for name, weight in weights.items()}, models / "other")


CARRIED = {"chat_template.jinja": "{{ messages }}", "generation_config.json": '{"temperature": 0.6}', "preprocessor_config.json": "{}",
           "tokenizer_config.json": '{"model_max_length": 64}', "special_tokens_map.json": "{}", "merges.txt": "a b\n", "LICENSE": "free",
           "NOTICE.txt": "notice", "tokenizer.model": "\n\x05sentences", "processor_config.json": "{}"}
LEFT = {"pytorch_model.bin": b"old", "optimizer.pt": b"x", "scheduler.pkl": b"x", "modeling_llama.py": b"import os", "run.sh": b"#!/bin/sh",
        "model.gguf": b"GGUF", ".gitattributes": b"x", "trainer_state.json": b"{}", "eval_results.json": b"{}", 
        "vocab.model": pickle.dumps({}), "windows.npz": b"PK\x03\x04", "pytorch_model.bin.index.json": b"{}", "adapter_config.json": b"{}"}


def test_what_pruning_does_not_change_is_carried_over_and_nothing_that_runs(models: Path) -> None:
    folder = save_family("llama", models)
    for name, text in CARRIED.items():
        (folder / name).write_text(text)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_text("{{ tools }}")
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("import os")
    (folder / "README.md").write_text("# The dense model\nAccuracy 0.9")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "modeling_llama.Mine"}, "own_field": [1, "ü"]}))
    (folder / "linked.json").symlink_to(folder / "preprocessor_config.json")
    for name, content in LEFT.items():
        (folder / name).write_bytes(content)
    result, weights = pruned(folder)
    save_checkpoint(result, weights, models / "saved")
    saved = models / "saved"
    for name in CARRIED:
        assert (saved / name).read_bytes() == (folder / name).read_bytes(), name
    expected = {*CARRIED, "additional_chat_templates/tools.jinja", "README.dense.md", "config.json",
                "model.safetensors", "linked.json", RECORD}
    assert {file.relative_to(saved).as_posix() for file in saved.rglob("*") if file.is_file()} == expected
    assert not any(file.is_symlink() for file in saved.rglob("*"))
    assert json.loads((saved / "config.json").read_text()) == {**config, "own_field": [1, "ü"]}
    assert (saved / "README.dense.md").read_text() == "# The dense model\nAccuracy 0.9"


def test_a_link_that_leads_out_since_the_run_is_not_followed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = save_family("llama", models)
    result, weights = pruned(folder)
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.json"
    secret.write_text('{"key": 1}')
    (folder / "notes.json").symlink_to(secret)
    with pytest.raises(BadInput, match=r"notes\.json is a link out of"):
        save_checkpoint(result, weights, models / "saved")
    assert not (models / "saved").exists()


def test_a_disk_that_is_full_is_told_and_leaves_nothing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, weights = pruned(save_family("llama", models))

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "carry_over", full)
    (models / "saved").mkdir()
    with pytest.raises(BadInput, match="No space left on device"):
        save_checkpoint(result, weights, models / "saved")
    assert list((models / "saved").iterdir()) == []
