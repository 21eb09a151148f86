"""Quick and slow runs of a small model on real workers, and what became of them."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import psutil
import torch

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import RunRecord
from core.records import RunResult
from core.spec import Calibration, Evaluation, RunSpec, SemiStructured, make_method
from tests.app.workers.processes import wait_for

ROOT = Path(__file__).resolve().parents[4]
BLOCKS, LAYERS = 8, 56  # of the small model below
IMPOSSIBLE = SemiStructured(n=512, m=1024)  # no group of 1024 fits into its layers


def quick(seed: int, **changes: object) -> RunSpec:
    return RunSpec.model_validate({
        "model": "small", "method": make_method("magnitude"), "calibration": Calibration(windows=4, length=64, seed=seed),
        "evaluation": Evaluation(windows=2, length=64), **changes})


def slow(seed: int) -> RunSpec:
    """Some seconds: long enough to be met on the way."""
    return quick(seed, method=make_method("thanos", block_size=8), calibration=Calibration(windows=64, length=64, seed=seed))


def save_small_model(folder: Path) -> None:
    """A LLaMA of 8 narrow blocks with the demo's tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=4096, hidden_size=64, intermediate_size=96, num_hidden_layers=BLOCKS,
                                 num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "core" / "demo" / "model" / name, folder)


def ended(jobs: Jobs, key: str) -> RunRecord:
    def look() -> RunRecord | None:
        jobs.progress(key)  # as a page does: this also notices a lost scheduler
        record = jobs.store.record(key)
        return record if record is not None and not record.active else None

    record = wait_for(look)
    assert isinstance(record, RunRecord)
    return record


def finished(jobs: Jobs, key: str) -> RunResult:
    record = ended(jobs, key)
    assert (record.state, record.error) == ("finished", None)
    result = jobs.store.result(key)
    assert result is not None
    assert (record.pruned_perplexity, record.counted_sparsity) == (result.pruned.perplexity, result.counted_sparsity)
    return result


def blocks_done(jobs: Jobs, key: str) -> int:
    return len(list(jobs.store.journal(key).folder.glob("*.json")))


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    wait_for(lambda: ended_already(process))


def ended_already(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def device_worker(home: Path) -> int:
    """The process under the device lane's nanny in which tasks run."""
    nanny = psutil.Process(cluster.cluster_status(home)["processes"]["device-0"])
    workers = [child for child in nanny.children() if "spawn_main" in " ".join(child.cmdline())]
    return workers[0].pid if len(workers) == 1 else 0


def same_numbers(one: RunResult, other: RunResult) -> bool:
    changing = {"seconds": 0.0}
    layers = [[layer.model_copy(update=changing) for layer in result.layers] for result in (one, other)]
    return layers[0] == layers[1] and one.pruned == other.pruned and one.dense == other.dense
