"""Plans of models that do not fit: LLaMA-2-7B and 70B from their configurations alone, as the table of docs/large-models.md.

    python -m bench.large_models [--rate 100]      # multiply-adds a second, in billions; by default measured here
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "LLaMA-2-7B": {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_hidden_layers": 32,
                   "num_key_value_heads": 32},
    "LLaMA-2-70B": {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_hidden_layers": 80,
                    "num_key_value_heads": 8},
}
SHARED = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000, "max_position_embeddings": 4096,
          "rms_norm_eps": 1e-5, "torch_dtype": "float16"}
METHODS, MEMORY = ("wanda", "sparsegpt", "thanos"), (16, 64)  # gigabytes
CALIBRATION, EVALUATION, LENGTH = 128, 166, 2048  # windows of the literature: C4's and all of WikiText-2's


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=None, help="multiply-adds a second, in billions")
    rate = parser.parse_args().rate
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PRUNESCOPE_MODELS"] = folder
        print("| model | memory | peak | weights | activations | outside the blocks | working | disk | multiply-adds | hours |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for name, config in CONFIGURATIONS.items():
            place = Path(folder) / name
            place.mkdir()
            (place / "config.json").write_text(json.dumps(SHARED | config))
            for memory in MEMORY:
                print(row(name, place, memory, rate))


def row(name: str, place: Path, memory: int, rate: float | None) -> str:
    """A line of the table: one model on a machine with so many gigabytes."""
    from core.models.folders import inspect_folder
    from core.run.planning import plan
    from core.spec import Calibration, Evaluation, RunSpec, make_method

    windows = place / "windows.npy"  # any: a plan counts them
    np.save(windows, np.zeros((max(CALIBRATION, EVALUATION), LENGTH), dtype=np.int32))
    source = inspect_folder(name, "folder", place, weights_needed=False)
    texts = {"calibration": Calibration(source=f"windows:{windows}", windows=CALIBRATION, length=LENGTH),
             "evaluation": Evaluation(source=f"windows:{windows}", windows=EVALUATION, length=LENGTH)}
    plans = {method: plan(RunSpec(model=name, method=make_method(method), device="cpu", **texts), source=source, limit=memory * 10**9)
             for method in METHODS}
    made = plans[METHODS[0]]
    placed, measured = made.placement, made.matrix_rate or 1.0
    assert placed is not None
    used = rate * 1e9 if rate else measured
    weights = f"{placed.block_bytes / 1e9:.2f} GB a block" if placed.weights == "blocks" else f"{placed.model_bytes / 1e9:.1f} GB, whole"
    where = {"host": "in memory", "disk": "on disk", "device": "on the GPU"}[placed.activations]
    work = " / ".join(f"{one.seconds * (one.matrix_rate or 1.0):.2e}" for one in plans.values())
    hours = " / ".join(f"{one.seconds * (one.matrix_rate or 1.0) / used / 3600:.0f}" for one in plans.values())
    return (f"| {name} | {memory} GB | {made.memory_bytes / 1e9:.1f} GB | {weights} | {placed.activation_bytes / 1e9:.1f} GB {where} | "
            f"{placed.frame_bytes / 1e9:.2f} GB | {placed.working_bytes / 1e9:.2f} GB | {made.disk_bytes / 1e9:.0f} GB | {work} | "
            f"{hours} at {used / 1e9:.0f} billion/s |")


if __name__ == "__main__":
    main()
