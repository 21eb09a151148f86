"""Runs of the command line on a Dask scheduler, which PRUNESCOPE_SCHEDULER names (docs/cluster.md).

A process of its own asks for them and waits (`python -m app.workers batch`), since core knows nothing of Dask.
"""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.cli.options import notes, progress_bar
from core.data.places import confined
from core.records import LayerRecord, Progress, Revisions, RunResult
from core.run.journal import BlockState, Journal
from core.spec import RunSpec
from core.spec.errors import InputChanged, PruneError

_ROOT = Path(__file__).resolve().parents[2]


def wanted() -> bool:
    """True if runs are to be computed elsewhere."""
    return bool(os.environ.get("PRUNESCOPE_SCHEDULER"))


class Remote:
    """Runs that are asked for together and taken one by one, in any order."""

    def __init__(self, specs: Sequence[RunSpec], *, weights: bool) -> None:
        """Ask for all of them at once. `weights`: pruned weights come too."""
        self._specs = list(specs)
        self._ended: dict[int, dict[str, Any]] = {}
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen([sys.executable, "-m", "app.workers", "batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, env={**os.environ, "PYTHONPATH": paths})
        assert self._process.stdin is not None
        json.dump({"runs": [spec.model_dump(mode="json") for spec in specs], "weights": weights, "confined": confined()},
                  self._process.stdin)
        self._process.stdin.close()

    def take(self, spec: RunSpec, *, journal: Journal | None, expected: Revisions | None, title: str) -> RunResult:
        """The result of a run, as soon as it is there; its blocks go into the journal. Raises PruneError with the worker's reason, and
        InputChanged where the run was of other inputs than expected."""
        index = self._specs.index(spec)
        with progress_bar() as bar:
            task = bar.add_task(title, total=1.0)
            while index not in self._ended:
                line = self._read()
                if "note" in line:
                    notes.print(line["note"], markup=False, highlight=False, soft_wrap=True)
                elif "progress" in line:
                    if line["run"] == index:
                        progress = Progress.model_validate(line["progress"])
                        where = f" · block {progress.block + 1} of {progress.blocks} · {progress.stage}" if progress.blocks else ""
                        bar.update(task, completed=progress.fraction, description=title + where)
                else:
                    self._ended[line["run"]] = line
        found = self._ended[index]
        if "error" in found:
            raise PruneError(str(found["error"]))
        result = RunResult.model_validate(found["result"])
        if expected is not None and result.revisions != expected:
            raise InputChanged("model", spec.model)
        if journal is not None:
            _fill(journal, found["blocks"])
        return result

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PruneError("The process that asks the scheduler has ended; what it said is above. Run the same command again: finished "
                             "blocks are kept.")
        return dict(json.loads(line))


def run(spec: RunSpec, *, journal: Journal | None, expected: Revisions | None, title: str) -> RunResult:
    """One run."""
    return Remote([spec], weights=journal is not None).take(spec, journal=journal, expected=expected, title=title)


def together(specs: Sequence[RunSpec], *, weights: bool) -> Callable[..., RunResult]:
    """A function that gives the result of each of these runs, which are asked for now."""
    asked = Remote(specs, weights=weights) if specs else None

    def take(spec: RunSpec, *, journal: Journal | None = None, expected: Revisions | None = None, title: str = "",
             **_: object) -> RunResult:
        assert asked is not None, spec
        return asked.take(spec, journal=journal, expected=expected, title=title)

    return take


def _fill(journal: Journal, blocks: Sequence[dict[str, Any]]) -> None:
    from safetensors.torch import load_file

    for number, block in enumerate(blocks):
        layers = tuple(LayerRecord.model_validate(layer) for layer in block["layers"])
        journal.write(number, BlockState(layers=layers, weights=load_file(block["tensors"])))
