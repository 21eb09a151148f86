"""Runs of the command line on a scheduler of one's own: `python -m app.workers batch`, which core/cli/remote.py starts.

    standard input      one JSON object: {"runs": [spec, ...], "weights": bool, "confined": bool}
    standard output     JSON lines: {"run": i, "progress": {...}}, {"run": i, "result": {...}, "blocks": [...]}, {"run": i, "error": "..."},
                        {"note": "..."}

All runs are asked for at once, so that every worker has one. Their records and journals are in HOME/commands, a store of its own: what
is asked for on the command line may read any path of its user, and no web server hands it over. A run that was interrupted continues.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.workers.jobs import Jobs
from app.workers.keys import ensure_keys
from app.workers.launch import cluster_folder
from cache import Store
from core.data.places import default_home, unconfine
from core.records import RunResult
from core.spec import RunSpec
from core.spec.errors import PruneError

_LOOK = 0.3  # seconds between two looks at the store
_TELL = 10.0  # seconds after which a problem that lasts is told


def main() -> int:
    """Carry out what standard input asks for; returns the exit code."""
    asked = json.load(sys.stdin)
    if not asked["confined"]:
        unconfine()
    os.environ.setdefault("PRUNESCOPE_KEYS", str(ensure_keys(cluster_folder(default_home()))))
    jobs = Jobs(Store(default_home() / "commands"), answering=False)
    batch = Batch(jobs, [RunSpec.model_validate(spec) for spec in asked["runs"]], weights=asked["weights"], tell=_write)
    try:
        batch.carry_out()
    except (KeyboardInterrupt, BrokenPipeError):
        batch.cancel()
        return 130
    finally:
        jobs.close()
    return 0


class Batch:
    """Runs that were asked for together, and what was told about them."""

    def __init__(self, jobs: Jobs, specs: list[RunSpec], *, weights: bool, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._jobs, self._specs, self._weights, self._tell = jobs, specs, weights, tell
        self._waiting: dict[int, str] = {}
        self._told: dict[int, str] = {}
        self._again: set[str] = set()  # asked for once more, as their blocks were not here

    def carry_out(self) -> None:
        """Ask for all runs, and tell what becomes of them until the last has ended."""
        for index, spec in enumerate(self._specs):
            try:
                self._waiting[index] = self._submit(spec)
            except PruneError as error:
                self._tell({"run": index, "error": str(error)})
        problem, since = None, time.monotonic()
        while self._waiting:
            for index, key in tuple(self._waiting.items()):
                self._look(index, key)
            now = self._jobs.problem()
            if now != problem:
                problem, since = now, time.monotonic()
            if problem and time.monotonic() > since + _TELL:
                self._tell({"note": problem})
                since = float("inf")
            time.sleep(_LOOK)

    def cancel(self) -> None:
        """Cancel what has not ended; its finished blocks are kept."""
        for key in set(self._waiting.values()):
            self._jobs.cancel(key)

    def _submit(self, spec: RunSpec) -> str:
        store, group = self._jobs.store, f"-command-{os.getpid()}"  # of nobody: no limit per person
        key = self._jobs.submit(spec, group=group)
        result = store.result(key)
        if result is not None and self._lacks_blocks(key, result):
            store.delete(key)  # computed again
            self._jobs.submit(spec, group=group)
            self._again.add(key)
        return key

    def _lacks_blocks(self, key: str, result: RunResult) -> bool:
        """True where weights are wanted that are not here: they were removed, or another store's worker has computed the run."""
        return self._weights and bool(result.layers_changed) and len(self._blocks(key)) < len({layer.block for layer in result.layers})

    def _look(self, index: int, key: str) -> None:
        record = self._jobs.store.record(key)
        if record is None or record.state in ("failed", "cancelled"):
            error = record.error if record else None
            self._end(index, {"error": error or "The run was canceled."})
        elif record.state == "finished" and (result := self._jobs.store.result(key)) is not None:
            if not self._lacks_blocks(key, result):
                self._end(index, self._ended(key, result))
            elif key in self._again:
                self._end(index, {"error": "Its result came back twice without its pruned weights: another store on this scheduler has "
                                  "them. Ask for it there, or start a scheduler of its own."})
            else:
                self._submit(self._specs[index])
        elif record.state == "running":
            latest = self._jobs.progress(key).latest
            text = latest.model_dump_json() if latest else ""
            if latest and text != self._told.get(index):
                self._told[index] = text
                self._tell({"run": index, "progress": latest.model_dump(mode="json")})

    def _ended(self, key: str, result: RunResult) -> dict[str, Any]:
        return {"result": result.model_dump(mode="json"), "blocks": self._blocks(key) if self._weights else []}

    def _blocks(self, key: str) -> list[dict[str, Any]]:
        return [{"tensors": str(file), "layers": [layer.model_dump(mode="json") for layer in layers]}
                for file, layers in self._jobs.store.journal(key).files()]

    def _end(self, index: int, told: Mapping[str, Any]) -> None:
        del self._waiting[index]
        self._tell({"run": index, **told})


def _write(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
