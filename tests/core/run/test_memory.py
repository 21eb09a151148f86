"""Memory: a plan that is too large is refused with what would fit, and want of it is told with its stage."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.records import Plan
from core.run.memory import require_memory
from core.spec import Calibration, RunSpec
from core.spec.errors import BadInput, OutOfMemory, PruneError, is_out_of_memory, memory_told

ROOT = Path(__file__).resolve().parents[3]
PLAN = Plan(layers=(), parameters=10**9, blocks=1, context=512, family="llama", device="CPU", calibration="", evaluation="", seconds=1.0,
            memory_bytes=10 * 10**9, disk_bytes=0, model_bytes=4 * 10**9, window_bytes=10**7)


def refusal(plan: Plan, limit: int, windows: int = 128) -> str:
    with pytest.raises(BadInput, match="memory") as caught:
        require_memory(plan, RunSpec(calibration=Calibration(windows=windows)), limit)
    return str(caught.value)


def test_a_plan_that_fits_is_let_through():
    require_memory(PLAN, RunSpec(), PLAN.memory_bytes)


@pytest.mark.parametrize(("over", "windows"), [(1, 127), (10**7, 127), (10**7 + 1, 126), (120 * 10**7, 8)])
def test_as_many_windows_as_fit_are_named(over, windows):
    limit = PLAN.memory_bytes - over
    named = int(re.search(r"at most (\d+) calibration windows", refusal(PLAN, limit)).group(1))
    assert named == windows
    freed = (128 - named) * PLAN.window_bytes
    assert PLAN.memory_bytes - freed <= limit < PLAN.memory_bytes - freed + PLAN.window_bytes


def test_where_windows_do_not_help_the_weights_are_blamed():
    assert "bfloat16" in refusal(PLAN, 8_500_000_000)
    assert "choose a smaller model" in refusal(PLAN, 10**9)
    assert "bfloat16" not in refusal(PLAN, 10**9)
    assert "Lower the calibration windows" in refusal(PLAN.model_copy(update={"model_bytes": 0, "window_bytes": 0}), 10**9)  # an older plan


class OutOfMemoryError(RuntimeError): ...  # torch's name for it on a GPU


def test_want_of_memory_is_told_from_other_errors():
    for error in (MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."),
                  OSError(12, "Cannot allocate memory")):
        assert is_out_of_memory(error)
        wrapped = RuntimeError("of a library")
        wrapped.__cause__ = error
        assert is_out_of_memory(wrapped)
        with pytest.raises(OutOfMemory, match=r"while pruning\. Do less"), memory_told("pruning", "Do less."):
            raise error
    assert not is_out_of_memory(RuntimeError("of another kind"))
    said = BadInput("m", 3, "1", "Do this.")
    with pytest.raises(PruneError) as caught, memory_told("pruning", "Do less."):
        raise said from MemoryError()
    assert caught.value is said


UNDER_A_LIMIT = """
import sys, resource, psutil
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from core.run.pipeline import prune
from core.spec import RunSpec
folder, hidden, room = Path(sys.argv[1]) / "some", int(sys.argv[2]), int(sys.argv[3])
LlamaForCausalLM(LlamaConfig(vocab_size=48000, hidden_size=hidden, intermediate_size=64, num_hidden_layers=1, num_attention_heads=8,
                             num_key_value_heads=8, max_position_embeddings=64)).save_pretrained(folder)
(folder / "tokenizer.json").write_bytes(Path("core/demo/model/tokenizer.json").read_bytes())
(folder / "tokenizer_config.json").write_bytes(Path("core/demo/model/tokenizer_config.json").read_bytes())
limit = psutil.Process().memory_info().vms + (room << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    list(prune(RunSpec(model="some")))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited by RLIMIT_AS")
@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize(("hidden", "stage", "remedy"), [
    (512, "loading some. Its 50,", "Choose a smaller model, or bfloat16"),  # 197 MB of weights
    (8, "tokenizing a text of 943,", "Use a shorter text"),
])
def test_what_does_not_fit_is_told_with_its_stage(tmp_path, hidden, stage, remedy):
    """In a process whose address space has room for 100 MB more."""
    environment = {"PRUNESCOPE_MODELS": str(tmp_path), "PRUNESCOPE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT),
                   "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run([sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path), str(hidden), "100"], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"OutOfMemory Memory ran out while {stage}"), done.stdout + done.stderr
    assert remedy in done.stdout
