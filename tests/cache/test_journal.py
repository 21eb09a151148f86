"""A block of the journal is there whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.run.journal import BlockState
from core.run.kept_blocks import BlockJournal
from tests.cache.examples import layer_record

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[2]


def state_of(block: int = 0, dtype: torch.dtype = torch.float32) -> BlockState:
    weights = {"a.q": torch.arange(12, dtype=dtype).reshape(3, 4), "a.k": torch.randn(4, 3).to(dtype).T, "a.v": torch.empty(0, 3)}
    return BlockState(layers=(layer_record(block, error=1 / 3), layer_record(block, error=float("nan"))), weights=weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_block_comes_back_bit_for_bit(tmp_path, dtype):
    journal, state = BlockJournal(tmp_path / "run"), state_of(7, dtype)
    assert journal.read(7) is None
    journal.write(7, state)
    back = journal.read(7)
    assert back.layers[0] == state.layers[0]
    assert repr(back.layers) == repr(state.layers)
    assert set(back.weights) == set(state.weights)
    for name, weight in state.weights.items():
        assert back.weights[name].dtype == weight.dtype
        assert torch.equal(back.weights[name], weight)
    assert journal.read(6) is None
    assert sorted(path.suffix for path in (tmp_path / "run").iterdir()) == [".json", ".safetensors"]


def test_the_weights_of_all_blocks_together(tmp_path):
    journal = BlockJournal(tmp_path / "run")
    assert journal.weights == {}
    for block in range(3):
        journal.write(block, BlockState(layers=(layer_record(block),), weights={f"{block}.q": torch.full((2, 2), float(block))}))
    assert {name: weight[0, 0].item() for name, weight in journal.weights.items()} == {"0.q": 0, "1.q": 1, "2.q": 2}


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_a_damaged_block_reads_as_none_and_can_be_written_again(tmp_path, suffix, damage):
    journal = BlockJournal(tmp_path)
    journal.write(3, state_of(3))
    (file,) = tmp_path.glob(f"*{suffix}")
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"cut": whole[:-5], "empty": b"", "flip": whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]}[damage])
    assert journal.read(3) is None
    journal.write(3, state_of(3))
    assert journal.read(3) is not None


def test_new_weights_with_an_old_commit_mark_are_not_a_block(tmp_path):
    journal = BlockJournal(tmp_path)
    journal.write(0, state_of())
    (mark,) = tmp_path.glob("*.json")
    old = mark.read_bytes()
    journal.write(0, state_of())  # other random weights
    mark.write_bytes(old)
    assert journal.read(0) is None


WRITE = """
import sys
from pathlib import Path
import torch
from core.run.kept_blocks import BlockJournal
from tests.cache.test_journal import state_of
journal = BlockJournal(Path(sys.argv[1]))
print("ready", flush=True)
block = 0
while True:
    journal.write(block, state_of(block))
    block += 1
"""


def test_a_writer_killed_at_any_moment_leaves_whole_blocks(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    while len(list(tmp_path.glob("*.json"))) < 20:
        assert writer.poll() is None
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    marks = len(list(tmp_path.glob("*.json")))
    journal = BlockJournal(tmp_path)
    assert all(journal.read(block) is not None for block in range(marks))
    assert journal.read(marks) is None
