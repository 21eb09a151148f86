"""Runs of a model that is larger than the memory it may use: peak beside one block, activations and embeddings.

    python -m bench.streaming                       # 1.1 B parameters, Wanda and Thanos, in half the bytes of its float32 weights
    python -m bench.streaming --growth              # peak with 8 and with 16 blocks
    python -m bench.streaming --speed               # seconds of a run whole in memory and block by block, from a warm page cache

Each run is a process of its own under RLIMIT_DATA, which counts all memory that a process writes to and no mapped file. The model is
random, its shards are written block by block: only bytes and seconds mean something here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

WINDOWS, LENGTH = 4, 64  # of calibration: the least that shows it
_NARROW = {"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16, "num_key_value_heads": 16}
_SMALL = {"hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8, "num_key_value_heads": 8}


def write_model(folder: Path, blocks: int, sizes: dict[str, Any], vocabulary: int) -> int:
    """A random LLaMA in bfloat16 shards of one block each, and token windows; returns its parameters."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model("llama", num_hidden_layers=blocks, vocab_size=vocabulary, max_position_embeddings=2048, **sizes)
    with torch.device("meta"):
        shapes = {name: tuple(parameter.shape) for name, parameter in AutoModelForCausalLM.from_config(config).named_parameters()}
    config.architectures, config.dtype = ["LlamaForCausalLM"], torch.bfloat16
    folder.mkdir(parents=True)
    config.save_pretrained(folder)
    shards: dict[str, list[str]] = {}
    for name in shapes:
        parts = name.split(".")
        shards.setdefault(f"block-{int(parts[2]):03d}" if parts[1] == "layers" else "frame", []).append(name)
    torch.manual_seed(0)
    for shard, names in shards.items():
        tensors = {name: torch.ones(shapes[name]) if len(shapes[name]) == 1 else torch.randn(shapes[name]) * 0.02 for name in names}
        save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder / f"{shard}.safetensors", metadata={"format": "pt"})
    places = {name: f"{shard}.safetensors" for shard, names in shards.items() for name in names}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    np.save(folder / "windows.npy", np.random.default_rng(0).integers(3, vocabulary, (WINDOWS, LENGTH)))
    return sum(int(np.prod(shape)) for shape in shapes.values())


def run(folder: Path, method: str, *, limit: int | None = None, save: bool = False, stream: bool | None = None) -> dict[str, Any]:
    """One run of the command line in a process of its own, with at most `limit` bytes of data. Returns its record."""
    out, texts = folder.parent / f"{folder.name}-{method}.json", f"windows:{folder / 'windows.npy'}"
    command = [sys.executable, "-m", "core", "prune", "--model", folder.name, "--method", method, "--device", "cpu", "--calibration", texts,
               "--windows", str(WINDOWS), "--evaluation", texts, "--evaluation-windows", "2", "--json", str(out)]
    saved = folder.parent / f"{folder.name}-{method}"
    command += ["--save", str(saved)] if save else []
    command += [] if stream is None else ["--stream" if stream else "--no-stream"]

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    home = {"PRUNESCOPE_MODELS": str(folder.parent), "PRUNESCOPE_HOME": str(folder.parent / "home"), "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, env=os.environ | home, preexec_fn=bound, check=True)
    if save:
        assert sorted(file.name for file in folder.glob("*.safetensors")) == sorted(file.name for file in saved.glob("*.safetensors"))
        assert not list(saved.glob(".*")), "nothing is left of the work on it"
        shutil.rmtree(saved)
    return json.loads(out.read_text())


def report(name: str, found: dict[str, Any], limit: int | None) -> str:
    """A line: the peak beside its parts."""
    placed = found["placement"]
    parts = placed["block_bytes"] + placed["activation_bytes"] + placed["frame_bytes"]
    bound = "" if limit is None else f" of {limit / 1e6:,.0f} MB allowed"
    return (f"{name}: peak {found['peak_memory_bytes'] / 1e6:,.0f} MB{bound}, planned {placed['memory_bytes'] / 1e6:,.0f} MB; one block "
            f"{placed['block_bytes'] / 1e6:,.0f} + activations {placed['activation_bytes'] / 1e6:,.1f} ({placed['activations']}) + outside "
            f"{placed['frame_bytes'] / 1e6:,.0f} = {parts / 1e6:,.0f} MB, working {placed['working_bytes'] / 1e6:,.0f} MB; the model "
            f"{placed['model_bytes'] / 1e6:,.0f} MB; weights {placed['weights']}; {found['seconds']:.0f} s, of which optimum "
            f"{found['stages'].get('optimum', 0):.0f} s")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=84)
    parser.add_argument("--methods", default="wanda,thanos")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--speed", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        if asked.growth:
            peaks = {}
            for blocks in (8, 16):
                write_model(root / f"of-{blocks}", blocks, _SMALL, 2048)
                found = run(root / f"of-{blocks}", "wanda", stream=True)
                peaks[blocks] = found["peak_memory_bytes"]
                print(report(f"{blocks} blocks", found, None), flush=True)
            print(f"16 blocks over 8: {100 * (peaks[16] / peaks[8] - 1):+.1f} %")
        elif asked.speed:
            write_model(root / "model", 12, _SMALL, 2048)
            for stream in (False, True, False, True):
                found = run(root / "model", "wanda", stream=stream)
                print(f"{'block by block' if stream else 'whole'}: {found['seconds']:.1f} s", flush=True)
        else:
            parameters = write_model(root / "large", asked.blocks, _NARROW, 32000)
            limit = parameters * 4 // 2
            print(f"{parameters:,} parameters, {parameters * 4 / 1e6:,.0f} MB in float32", flush=True)
            for method in asked.methods.split(","):
                print(report(method, run(root / "large", method, limit=limit, save=True), limit), flush=True)


if __name__ == "__main__":
    main()
