"""The garbage collector and what has come to stay."""

import gc
import time
import weakref

from app.shared import resources


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.me = self


def test_what_has_come_to_stay_is_not_looked_through_again_and_garbage_still_goes(monkeypatch):
    monkeypatch.setattr(resources, "_runs", iter([1, 2, 3, 1024, 1025]))
    try:
        resources.settle()
        assert gc.get_freeze_count() > 10 * len(gc.get_objects())
        kept = Ring()
        watch = weakref.ref(kept)
        resources.settle()  # frozen while it is in use
        del kept
        resources.settle()  # no collection: most runs have none
        gc.collect()
        assert watch() is not None
        resources.settle()
        assert watch() is None
        kept = Ring()
        watch = weakref.ref(kept)
        gc.freeze()
        del kept
        monkeypatch.setattr(resources, "_looked", [time.monotonic() - 61])
        resources.settle()  # a minute later, on the way to the next power of two
        assert watch() is None
    finally:
        gc.unfreeze()
