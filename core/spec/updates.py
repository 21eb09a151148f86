"""Updates of the kept weights that can follow any mask. No torch."""

from __future__ import annotations

from typing import Literal

from core.spec.errors import BadInput

Update = Literal["own", "none", "sweep", "block", "admm", "gradient", "exact"]
UPDATES: dict[str, str] = {
    "own": "the method's own", "none": "none", "sweep": "SparseGPT's sweep", "block": "Thanos's blocks", "admm": "ADMM", "gradient": "Adam",
    "exact": "exact",
}


def check_update(update: str, refit: bool) -> None:
    """Raises BadInput for updates that would undo each other."""
    if refit and update != "own":
        raise BadInput("update", update, "with the exact refit only own", "The refit replaces what any update made: leave one of them out.")


def update_work(update: str, rows: int, columns: int, *, refit: bool = False) -> float:
    """Multiply-adds of an update of a c×b layer after its method, in products of c·b²; sweep and block factor H anew."""
    products = {"own": 0, "none": 0, "sweep": 1, "block": 3, "admm": 20, "gradient": 200, "exact": 60}[update]
    shared = columns**3 if update in ("sweep", "block", "admm") else 0
    return (products + 60 * refit) * rows * columns**2 + shared
