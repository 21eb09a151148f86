"""Layers side by side: the order, the threads, and what happens to errors."""

import threading

import pytest
import torch

from core.linalg.parallel import map_layers

CPU = torch.device("cpu")


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_the_order_stays_and_each_computes_with_one_thread():
    meeting = threading.Barrier(3, timeout=60)  # passed only if three work at the same time

    def work(item):
        if item < 3:
            meeting.wait()
        return item, torch.get_num_threads(), threading.get_ident()

    done = map_layers(work, range(8), CPU)
    assert [item for item, *_ in done] == list(range(8))
    assert {threads for _, threads, _ in done} == {1}
    assert torch.get_num_threads() == 3
    fresh = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [3], "threads that begin later start with what was set"


@pytest.mark.usefixtures("three_threads")
def test_an_error_is_raised_and_what_has_not_begun_never_does():
    begun = []

    def work(item):
        begun.append(item)
        if item == 0:
            raise ValueError("the first")
        return threading.Event().wait(0.02)

    with pytest.raises(ValueError, match="the first"):
        map_layers(work, range(60), CPU)
    seen = len(begun)
    assert seen < 60
    threading.Event().wait(0.1)
    assert len(begun) == seen, "nothing goes on behind the error"
