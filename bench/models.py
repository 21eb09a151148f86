"""Where a whole run's time goes, by stage, beside the floor: multiply-adds counted over the matrix rate measured just before.

    python -m bench.models [--threads 4] [--method thanos] [--pattern 0.5] [--only demo,stories260K,opt-125m,llama-1b] [--blocks 2]

The demo is the run of the issue's budget. stories260K is looked for in ../shared/data, and its stories. The other two have the shapes of
OPT-125M and of a LLaMA with 1.2 thousand million parameters, cut to a few blocks, and random weights and texts: their time is real, their
perplexity says nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bench.protocol import Texts, run_spec
from core import Calibration, Evaluation, RunSpec, Unstructured, parse_pattern, plan, prune
from core.models.blocks import map_blocks
from core.models.cost import count_work, matrix_rate
from core.models.device import choose_device
from core.models.loading import load_skeleton
from core.models.sources import describe_model
from core.run.planning import model_shape
from core.spec import Magnitude, make_method

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NAMES = ("demo", "stories260K", "opt-125m", "llama-1b")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--method", default="thanos")
    options.add_argument("--pattern", default="0.5")
    options.add_argument("--only", default=",".join(NAMES))
    options.add_argument("--blocks", type=int, default=2, help="of the two random models")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory(prefix="prunescope-bench-") as folder:
        os.environ["PRUNESCOPE_MODELS"] = folder
        for spec in specs(Path(folder), given.only.split(","), given.blocks):
            method, pattern = make_method(given.method), parse_pattern(given.pattern)
            measure(RunSpec.model_validate({**dict(spec), "method": method, "pattern": pattern}), given.threads)


def specs(folder: Path, names: list[str], blocks: int) -> Iterator[RunSpec]:
    """The runs asked for; models that are not at hand are made, or left out with a word."""
    for name in names:
        if name == "demo":
            yield RunSpec(calibration=Calibration(windows=128, length=256), evaluation=Evaluation(windows=128, length=256))
        elif name == "stories260K":
            if not (DATA / "models" / name).is_dir():
                print(f"{name} left out: {DATA / 'models' / name} is not there\n")
                continue
            _copy(DATA / "models" / name, folder / name)
            spec = run_spec(name, Texts(DATA, folder), Magnitude(), Unstructured(), 0)
            yield spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"windows": 128})})
        elif name in ("opt-125m", "llama-1b"):
            vocabulary = _random_model(folder / name, name, blocks)
            yield _on_random_tokens(folder, name, vocabulary=vocabulary, length=512, windows=32)
        else:
            raise SystemExit(f"--only: {name!r}; there are {', '.join(NAMES)}")


def measure(spec: RunSpec, threads: int) -> None:
    """One run, its stages, and the floor of all its multiply-adds."""
    planned, device = plan(spec), choose_device(spec.device)
    rate = matrix_rate(device)
    model = load_skeleton(describe_model(spec.model, None))
    shape = model_shape(model, map_blocks(model))
    calibration = spec.calibration.windows * (spec.calibration.length or 0)
    evaluation = (spec.evaluation.windows or 0) * (spec.evaluation.length or 0)
    work = count_work(shape, spec, calibration_tokens=calibration, evaluation_tokens=evaluation, window=spec.evaluation.length or 0)
    *_, last = prune(spec)
    result = last.result
    print(f"{spec.title}: {planned.parameters / 1e6:.1f} M parameters, {planned.blocks} blocks; calibration {planned.calibration}, "
          f"evaluation {planned.evaluation}, {threads} threads")
    print(f"prune + evaluate {result.seconds:.1f} s (planned {planned.seconds:.1f} s), peak memory {result.peak_memory_bytes / 1e9:.2f} GB "
          f"(planned {planned.memory_bytes / 1e9:.2f} GB); matrix rate {rate / 1e9:.0f} G multiply-adds/s, "
          f"planned at that rate {work.total / rate:.1f} s: "
          + ", ".join(f"{name} {getattr(work, name) / rate:.1f}" for name in ("collect", "solve", "push", "evaluate")))
    rest = result.seconds - sum(result.stages.values())
    for stage, spent in [*sorted(result.stages.items(), key=lambda item: -item[1]), ("other", rest)]:
        print(f"  {stage:10}{spent:8.2f} s{100 * spent / result.seconds:7.1f} %")
    print(f"  perplexity {result.dense.perplexity:.2f} → {result.pruned.perplexity:.2f} ({result.pruned.protocol})\n")


def _copy(source: Path, target: Path) -> None:
    """Links that lead out of PRUNESCOPE_MODELS are refused, so the files are copied."""
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def _on_random_tokens(folder: Path, name: str, *, vocabulary: int, length: int, windows: int) -> RunSpec:
    """Ready token windows of random tokens, so that no tokenizer is needed: time does not depend on what they say."""
    rng = np.random.default_rng(0)
    files = [folder / f"{name}-{split}.npy" for split in ("calibration", "evaluation")]
    for file in files:
        np.save(file, rng.integers(0, vocabulary, (windows, length)))
    return RunSpec(model=name, calibration=Calibration(source=f"windows:{files[0]}", windows=windows, length=length),
                   evaluation=Evaluation(source=f"windows:{files[1]}", windows=windows, length=length))


def _random_model(folder: Path, name: str, blocks: int) -> int:
    """Save a model of published shapes and random weights; returns the size of its vocabulary."""
    from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

    torch.manual_seed(0)
    if name == "opt-125m":
        model = OPTForCausalLM(OPTConfig(num_hidden_layers=blocks))
    else:
        model = LlamaForCausalLM(LlamaConfig(hidden_size=2048, intermediate_size=8192, num_hidden_layers=blocks, num_attention_heads=32,
                                             num_key_value_heads=8, vocab_size=32000, max_position_embeddings=2048))
    model.save_pretrained(folder)
    return model.config.vocab_size


if __name__ == "__main__":
    main()
