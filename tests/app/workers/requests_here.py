"""What requests about runs begin with in tests that carry them out here, as a worker does: a small run, and a store of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from app.workers import collecting, exporting, guiding, measuring, scoring
from cache import Store
from core.spec import Calibration, Evaluation, Magnitude, RunSpec

SPEC = RunSpec(model="stories260K", method=Magnitude(), device="cpu", calibration=Calibration(windows=2, length=64),
               evaluation=Evaluation(windows=1, length=64))
_MODULES: tuple[ModuleType, ...] = (collecting, exporting, guiding, measuring, scoring)


@contextmanager
def store_here(stories260k, monkeypatch, tmp_path) -> Iterator[Store]:
    """A store that the tasks of requests open; no scheduler is there."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:1")
    opened = Store(tmp_path / "home")
    for module in _MODULES:
        monkeypatch.setattr(module, "open_store", lambda: opened)
    yield opened
    opened.close()
