"""What nobody waits for any more ends inside its long loops, on one core and on several."""

import threading

import pytest
import torch

from core.linalg import rows
from core.linalg import threads as ranges
from core.linalg.cancellation import cancel_unless, check_cancelled
from core.spec.errors import Cancelled


def test_looking_up_matters_only_within_and_only_once_nobody_waits():
    check_cancelled()
    wanted = [True]
    with cancel_unless(lambda: wanted[0]):
        check_cancelled()
        with cancel_unless(lambda: True):
            wanted[0] = False
            check_cancelled()
        with pytest.raises(Cancelled):
            check_cancelled()
    check_cancelled()


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_are_given_up_between_two_pieces(threads, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(ranges, "_PIECE", 1)
    weight = torch.randn(60, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inverse, dead = torch.eye(24, dtype=torch.float64) * 2, torch.zeros(24, dtype=torch.bool)
    looks = iter([True, True, False])
    try:
        torch.set_num_threads(threads)
        with cancel_unless(lambda: next(looks, False)), pytest.raises(Cancelled):
            rows.trace(inverse, weight, dead, 24)
        order, _ = rows.trace(inverse, weight, dead, 24)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(order, weight.abs().sort(dim=1).indices), "in pieces, nothing is lost"
    assert next(looks, None) is None


def test_rows_do_not_wait_for_threads_that_are_busy_with_others():
    before, free = torch.get_num_threads(), threading.Event()
    weight = torch.randn(600, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    try:
        torch.set_num_threads(3)
        busy = [ranges._pool(3).submit(free.wait, 60) for _ in range(3)]
        found = rows.solve_subsets(torch.eye(64, dtype=torch.float64) * 2, weight, weight > 0)
        assert not any(one.done() for one in busy)
    finally:
        free.set()
        torch.set_num_threads(before)
    assert torch.equal(found, weight.clamp(min=0) / 2)
