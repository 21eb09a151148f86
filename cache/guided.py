"""Evaluations of input-guided skipping in the store, and those that were asked for. No torch.

    guided-RUN-K-T     the evaluation of the run RUN with K clusters, which the first T tokens of a window decide (0: all)
    guiding-RUN        the request
"""

from __future__ import annotations

from cache.requests import Request, Requests
from cache.rows import CheckedRows
from core.records.guided import InputGuided
from core.spec.guide import Guide


class Guiding(Request):
    """An evaluation that was asked for."""

    guide: Guide


class GuidedRuns:
    """Evaluations of a store's runs. Safe to share between threads."""

    def __init__(self, rows: CheckedRows) -> None:
        self._rows = rows
        self.requests = Requests(rows, "guiding", Guiding)

    def of_run(self, key: str, guide: Guide) -> InputGuided | None:
        """The evaluation of a run with these clusters."""
        return self._rows.read(_row(key, guide), InputGuided)

    def put(self, key: str, found: InputGuided) -> None:
        self._rows.set(_row(key, found.guide), found.model_dump_json())

    def delete(self, key: str) -> None:
        """Remove what belongs to a run."""
        for name in self._rows.keys_from(f"guided-{key}-"):
            self._rows.delete(name)
        self.requests.delete(key)


def _row(key: str, guide: Guide) -> str:
    return f"guided-{key}-{guide.clusters}-{guide.decide_on}"
