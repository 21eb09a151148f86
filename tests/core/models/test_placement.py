"""Places of weights and activations: by size and memory, or as asked."""

from __future__ import annotations

import pytest
import torch

from core.models.placement import BASE, Sizes, place, streaming
from core.spec.errors import BadInput

GB = 10**9
SIZES = Sizes(model=4 * GB, block=GB // 10, frame=GB // 4, activations=GB // 2, working=GB // 5, window=1)
CPU = torch.device("cpu")


@pytest.mark.parametrize(("asked", "memory", "weights", "activations"), [
    ("auto", 20, "memory", "host"), ("auto", 8.5, "blocks", "host"), ("auto", 1.8, "blocks", "disk"),
    ("always", 20, "blocks", "host"), ("never", 8.5, "memory", "host"), ("never", 4, "memory", "disk"),
])
def test_what_does_not_fit_twice_stays_in_its_files(asked, memory, weights, activations):
    placed = place(SIZES, CPU, asked=asked, limit=round(memory * GB))
    assert (placed.weights, placed.activations) == (weights, activations)


def test_the_peak_counts_what_is_held():
    whole, blocks, disk = (place(SIZES, CPU, asked=asked, limit=limit) for asked, limit in (
        ("never", 20 * GB), ("always", 20 * GB), ("always", GB)))
    assert whole.memory_bytes == BASE + 8 * GB, "while it is loaded"
    assert blocks.memory_bytes == BASE + SIZES.frame + 2 * SIZES.block + SIZES.activations + SIZES.working
    assert disk.memory_bytes == blocks.memory_bytes - SIZES.activations


def test_a_checkpoint_that_cannot_be_read_by_block_is_loaded_whole_with_the_reason():
    placed = place(SIZES, CPU, limit=GB, refused="a reason.")
    assert placed.weights == "memory"
    assert "one block at a time: a reason." in (placed.note or "")
    assert place(SIZES, CPU, limit=20 * GB, refused="a reason.").note is None, "nobody asked"


def test_the_variable_is_read_and_checked(monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_STREAMING", "always")
    assert streaming() == "always"
    assert streaming("never") == "never"
    monkeypatch.setenv("PRUNESCOPE_STREAMING", "sometimes")
    with pytest.raises(BadInput, match=r"PRUNESCOPE_STREAMING: 'sometimes'.*auto, always or never"):
        streaming()
