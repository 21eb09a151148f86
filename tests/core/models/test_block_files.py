"""Blocks read from their files when their turn comes are those of a model that is loaded whole, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.export.folder import MemoryJournal
from core.models.block_files import NotInBlocks, open_blocks
from core.models.blocks import map_blocks
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.models.streaming import Stream
from core.run import pipeline
from core.run.evaluation import evaluate
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.spec.errors import BadInput
from tests.core.families import save_family
from tests.core.models.tiny import FAMILIES, build, every_family, windows


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return tmp_path


def saved(family: str, folder: Path) -> None:
    build(FAMILIES[family][0]).save_pretrained(folder / family, max_shard_size="20KB")


@every_family
def test_a_family_is_the_same_from_its_files(family: str, models: Path) -> None:
    saved(family, models)
    source = resolve_model(family)
    for dtype in (torch.float32, torch.bfloat16) if family in ("llama", "gemma3") else (torch.float32,):
        whole = load_model(source, dtype=dtype)
        model, block_map = open_blocks(source, dtype)
        assert sum(parameter.numel() for parameter in model.parameters() if not parameter.is_meta) < sum(
            parameter.numel() for parameter in whole.parameters())
        expected = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            assert tensor.is_meta or (torch.equal(tensor, expected[name]) and tensor.dtype == expected[name].dtype), name
        tokens = windows(3)
        streams = [Stream(one, blocks, "cpu", windows(1, seed=9)) for one, blocks in ((whole, map_blocks(whole)), (model, block_map))]
        hidden = [stream.embed(tokens) for stream in streams]
        for block in range(len(block_map.blocks)):
            hidden = [stream.forward(block, states) for stream, states in zip(streams, hidden, strict=True)]
            assert torch.equal(*hidden)
            assert all(parameter.is_meta for parameter in block_map.blocks[block].parameters()), "it was let go"
        assert torch.equal(*(stream.logits(states) for stream, states in zip(streams, hidden, strict=True)))


def test_what_is_written_into_a_block_goes_with_it(models: Path) -> None:
    saved("llama", models)
    _, block_map = open_blocks(resolve_model("llama"), torch.float32)
    reader, linear = block_map.reader, block_map.linears[1][0]
    assert reader is not None
    with reader.lend(1, torch.device("cpu")):
        before = linear.weight.clone()
        with reader.lend(1, torch.device("cpu")):
            linear.write(torch.zeros_like(before))
        assert not linear.weight.any(), "the outermost `with` holds it"
    with reader.lend(1, torch.device("cpu")):
        assert torch.equal(linear.weight, before)


def test_a_block_that_is_no_number_is_told_when_it_is_read(models: Path) -> None:
    saved("llama", models)
    for file in (models / "llama").glob("*.safetensors"):
        tensors = load_file(file)
        if "model.layers.1.mlp.up_proj.weight" in tensors:
            tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = torch.nan
            save_file(tensors, file, metadata={"format": "pt"})
    _, block_map = open_blocks(resolve_model("llama"), torch.float32)
    assert block_map.reader is not None
    with pytest.raises(BadInput, match=r"1 of 1,536 entries of model.layers.1.mlp.up_proj.weight are NaN"), \
            block_map.reader.lend(1, torch.device("cpu")):
        pass


def test_weights_that_blocks_share_are_not_read_by_block(models: Path) -> None:
    saved("llama", models)
    source = resolve_model("llama")
    import core.models.block_files as module

    skeleton = module.load_skeleton(source)
    skeleton.model.layers[1].mlp = skeleton.model.layers[0].mlp
    with pytest.raises(NotInBlocks, match=r"layers\.0\.mlp\.\w+\.weight is shared"):
        module.keys_by_block(source, skeleton)


def _outcome(spec: RunSpec, streaming: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal, streaming=streaming)
    assert last.kind == "finished"
    return last.result, journal.weights


SMALL = {"calibration": Calibration(windows=16, length=64), "evaluation": Evaluation(windows=2, length=40)}
VARIANTS: dict[str, dict[str, Any]] = {
    "demo": {"method": make_method("wanda")},
    "stories260K": {"method": make_method("thanos", block_size=64), "propagation": 0.5, "true_sequential": True},
    "gpt2": {"method": make_method("thanos", block_size=8), "fisher": 0.5, "allocation": "marginal"},
}


@pytest.mark.parametrize("model", [pytest.param("demo", marks=pytest.mark.long), "stories260K", "gpt2"])
def test_a_run_is_the_same_to_the_bit(model: str, models: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: dict[str, Any] = SMALL
    if model == "stories260K":
        monkeypatch.setenv("PRUNESCOPE_MODELS", str(request.getfixturevalue("stories260k").parent))
    elif model == "gpt2":
        source = f"windows:{save_family('gpt2', models) / 'windows.npy'}"
        texts = {"calibration": Calibration(source=source, windows=8), "evaluation": Evaluation(source=source, windows=4)}
    spec = RunSpec(model=model, **texts, **VARIANTS[model])
    (whole, weights), (blocks, others) = _outcome(spec, "never"), _outcome(spec, "always")
    assert (whole.placement.weights, blocks.placement.weights) == ("memory", "blocks")
    assert blocks.pruned == whole.pruned
    assert blocks.dense == whole.dense == evaluate(spec, streaming="always")
    assert [layer.model_copy(update={"seconds": 0}) for layer in blocks.layers] == [
        layer.model_copy(update={"seconds": 0}) for layer in whole.layers]
    assert weights.keys() == others.keys()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


def test_one_block_is_there_at_a_time_and_activations_may_lie_on_disk(models: Path, prunescope_home: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"windows:{save_family('llama', models) / 'windows.npy'}"
    spec = RunSpec(model="llama", method=make_method("wanda"), calibration=Calibration(source=source, windows=8),
                   evaluation=Evaluation(source=source, windows=4))
    whole, _ = _outcome(spec, "never")
    opened: list[Any] = []
    usual = pipeline.open_model
    monkeypatch.setattr(pipeline, "open_model", lambda *given, **rest: opened.append(usual(*given, **rest)) or opened[0])
    held = set[tuple[int, ...]]()
    for event in prune(spec, streaming="always", limit=1):
        if opened:
            held.add(tuple(index for index, block in enumerate(opened[0].block_map.blocks)
                           if any(not parameter.is_meta for parameter in block.parameters())))
        if event.kind == "finished":
            assert event.result.pruned == whole.pruned
            assert event.result.placement is not None
            assert event.result.placement.activations == "disk"
    assert held == {(), (0,), (1,)}
    assert not list(prunescope_home.rglob("activations-*")), "nothing stays behind"
