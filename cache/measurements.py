"""Sizes and speeds of runs in the store, and the measurements that were asked for. No torch.

    measured-RUN      sizes and speed as they were measured last      measuring-RUN      the request
"""

from __future__ import annotations

from cache.requests import Request, Requests
from cache.rows import CheckedRows
from core.records import Sizes, Speed
from core.spec.base import FrozenModel


class Measuring(Request):
    """A measurement that was asked for."""


class Collecting(Request):
    """Gram matrices of a dense model that were asked for. `key`: of a run that prunes nothing, whose model and texts they are of."""


class Measured(FrozenModel):
    """Size and speed of a run's model. `moment`: seconds since 1970."""

    size: Sizes
    speed: Speed
    moment: float


class Measurements:
    """Measurements of a store's runs. Safe to share between threads and processes."""

    def __init__(self, rows: CheckedRows) -> None:
        self._rows = rows
        self.requests = Requests(rows, "measuring", Measuring)

    def of_run(self, key: str) -> Measured | None:
        """The last measurement of a run."""
        return self._rows.read(f"measured-{key}", Measured)

    def put(self, key: str, measured: Measured) -> None:
        self._rows.set(f"measured-{key}", measured.model_dump_json())

    def delete(self, key: str) -> None:
        """Remove what belongs to a run."""
        self._rows.delete(f"measured-{key}")
        self.requests.delete(key)
