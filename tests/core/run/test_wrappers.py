"""Language models beside a vision tower: the decoder is found and pruned, and everything else of the checkpoint keeps its bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors import safe_open

from core.export.folder import MemoryJournal, save_checkpoint
from core.models.blocks import map_blocks
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from tests.core.zoo.build import build

FILES = {"preprocessor_config.json": '{"size": 28}', "processor_config.json": '{"image_seq_length": 4}',
         "chat_template.jinja": "{{ messages }}"}


def stored(folder) -> dict[str, torch.Tensor]:
    with safe_open(folder / "model.safetensors", framework="pt") as tensors:
        return {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118


@pytest.mark.parametrize("family", ["llava", "gemma3", "mistral3", "qwen3_vl"])
def test_only_the_decoders_layers_change(family, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path))
    model = build(family)
    model.save_pretrained(tmp_path / family)
    for name, text in FILES.items():
        (tmp_path / family / name).write_text(text)
    np.save(tmp_path / family / "windows.npy", np.random.default_rng(0).integers(3, 60, (8, 16)))
    source = f"windows:{family}/windows.npy"
    spec = RunSpec(model=family, method=make_method("wanda"), pattern=parse_pattern("0.5"), device="cpu",
                   calibration=Calibration(source=source, windows=4), evaluation=Evaluation(source=source, windows=2))
    journal = MemoryJournal()
    result = next(event.result for event in prune(spec, journal=journal) if event.kind == "finished")
    assert all("vision" not in layer.name and "visual" not in layer.name for layer in result.layers)
    save_checkpoint(result, journal.weights, tmp_path / "out")
    before, after = stored(tmp_path / family), stored(tmp_path / "out")
    assert set(before) == set(after)
    changed = {key for key, tensor in before.items() if not torch.equal(tensor, after[key])}
    assert len(changed) == len(result.layers) == sum(map(len, map_blocks(model).linears))
    assert not any("vision" in key or "visual" in key or "projector" in key for key in changed)
    assert all((after[key] == 0).float().mean().item() == pytest.approx(0.5, abs=0.02) for key in changed)
    for name, text in FILES.items():
        assert (tmp_path / "out" / name).read_text() == text
