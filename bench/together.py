"""Runs of a sweep that share one reading of a model, against the same runs one after the other.

    python -m bench.together                        # 2, 4 and 8 runs of a model that is read from its files, block by block
    python -m bench.together --cold                 # its files out of the page cache before each run, where the system allows it

Processor and wall time of both ways in one process, in turn: the ratio is what counts. The model is random.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.streaming import write_model
from core.run.pipeline import prune, prune_together
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import PruneError

_SIZES = {"hidden_size": 768, "intermediate_size": 2048, "num_attention_heads": 12, "num_key_value_heads": 12}
_GRID = [(method, pattern) for pattern in ("0.5", "0.6", "2:4", "0.7") for method in ("magnitude", "wanda")]


def specs_of(folder: Path, count: int) -> list[RunSpec]:
    """The first of the grid: quick methods, so that reading is a good part of it."""
    text = f"windows:{folder / 'windows.npy'}"
    return [RunSpec(model=folder.name, method=make_method(method), pattern=parse_pattern(pattern), device="cpu",
                    calibration=Calibration(source=text, windows=4), evaluation=Evaluation(source=text, windows=2))
            for method, pattern in _GRID[:count]]


def alone(specs: Sequence[RunSpec]) -> list[float]:
    """Perplexities, one run after the other; the dense model's is measured once, as a sweep does."""
    found, dense = list[float](), None
    for spec in specs:
        *_, last = prune(spec, streaming="always", dense=dense)
        assert last.kind == "finished"
        found.append(last.result.pruned.perplexity)
        dense = last.result.dense
    return found


def together(specs: Sequence[RunSpec]) -> list[float]:
    """The same in one reading."""
    found = dict[int, float]()
    for index, event in prune_together(specs, streaming="always"):
        if isinstance(event, PruneError):
            raise event
        if event.kind == "finished":
            assert event.result.placement is not None
            assert event.result.placement.runs == len(specs), "the memory takes them all"
            found[index] = event.result.pruned.perplexity
    return [found[index] for index in range(len(specs))]


def measured(work: Callable[[Sequence[RunSpec]], list[float]], specs: Sequence[RunSpec], folder: Path, *,
             cold: bool) -> tuple[float, float, list[float]]:
    """Wall and processor seconds, and the perplexities."""
    if cold:
        for file in folder.glob("*.safetensors"):
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    wall, processor = time.perf_counter(), time.process_time()
    found = work(specs)
    return time.perf_counter() - wall, time.process_time() - processor, found


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--blocks", type=int, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ |= {"PRUNESCOPE_MODELS": place, "PRUNESCOPE_HOME": str(root / "home")}
        parameters = write_model(root / "model", asked.blocks, _SIZES, 8192)
        alone(specs_of(root / "model", 1))  # what is imported and compiled once
        print(f"{parameters:,} parameters in {asked.blocks} blocks", flush=True)
        for count in (2, 4, 8):
            specs = specs_of(root / "model", count)
            wall, processor, found = measured(alone, specs, root / "model", cold=asked.cold)
            wall_together, processor_together, same = measured(together, specs, root / "model", cold=asked.cold)
            assert found == same, "not the same perplexities"
            print(f"{count} runs: {wall:.1f} s one after the other, {wall_together:.1f} s together: {wall / wall_together:.2f} times as "
                  f"fast (by processor time {processor / processor_together:.2f})", flush=True)


if __name__ == "__main__":
    main()
