"""Runs of commands that were ended before they were finished: their blocks are kept on disk, and the same command goes on after them.

    HOME/unfinished/KEY/      finished blocks of a run, by its settings and the revisions of model and texts; removed when it is finished
    HOME/unfinished/KEY.lock  held by the command that computes it
    HOME/unfinished/KEY.json  finished runs of a sweep without a --json file of its own; removed when all are finished
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from core.cli.large_files import read_large_files
from core.cli.options import notes
from core.cli.output import merge_runs, stored_runs
from core.data.places import default_home
from core.data.space import DiskFull
from core.records import Revisions, RunResult
from core.run.kept_blocks import BlockJournal, remove_forgotten
from core.spec import RunSpec
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from core.run.journal import BlockState


class CommandJournal:
    """core.run.journal.Journal of one command. `revisions`: those of the run. `held`: the weights are wanted when it is finished."""

    def __init__(self, revisions: Revisions, kept: BlockJournal | None, *, held: bool) -> None:
        self.revisions, self._kept = revisions, kept
        from core.export.folder import MemoryJournal

        self._memory = MemoryJournal() if held else None

    def read(self, block: int) -> BlockState | None:
        """The finished block, its weights on the CPU, or None."""
        state = self._kept.read(block) if self._kept is not None else None
        if state is not None and self._memory is not None:
            self._memory.write(block, state)
        return state

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block. A disk that cannot take it is told once, and the run goes on without being kept."""
        if self._memory is not None:
            self._memory.write(block, state)
        if self._kept is None:
            return
        try:
            self._kept.write(block, state)
        except (DiskFull, OSError) as error:
            self._kept = None
            _say(f"{error} This run goes on; if it is ended, its blocks from here on are computed again.")

    @property
    def weights(self) -> dict[str, Tensor]:
        """The pruned weights [out, in] of all blocks by layer name; empty where none are held."""
        return self._memory.weights if self._memory is not None else {}


@contextmanager
def continued(spec: RunSpec, *, held: bool, expected: Revisions | None = None) -> Generator[CommandJournal]:
    """Journal of a run: with the blocks that an earlier command has finished, and kept until this one ends well. Raises PruneError for
    a model or text that is not there."""
    from core.run.revisions import revisions

    read_large_files(spec)
    found = expected or revisions(spec)
    folder = default_home() / "unfinished" / _key(spec, found)
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_forgotten(folder.parent)
        lock.acquire(timeout=0)
    except (OSError, Timeout) as error:
        _say("Another command is computing this very run: this one computes it as well, from its beginning."
             if isinstance(error, Timeout) else f"{error}. This run goes on; if it is ended, it begins anew.")
        yield CommandJournal(found, None, held=held)
        return
    kept = BlockJournal(folder)
    if kept.blocks:
        _say(f"Continuing: an earlier command has finished {_finished(kept, spec)} of this run.")
    try:
        yield CommandJournal(found, kept, held=held)
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)
    except KeyboardInterrupt:
        _say(f"Stopped. {_finished(kept, spec)} finished; the same command goes on after that." if kept.blocks else "Stopped.")
        raise
    finally:
        lock.release()


def forget(spec: RunSpec, found: Revisions) -> None:
    """Remove the blocks of a run whose result is kept: a command that was ended between the two leaves them."""
    folder = default_home() / "unfinished" / _key(spec, found)
    if not folder.exists():
        return
    with suppress(OSError, Timeout), FileLock(folder.with_suffix(".lock"), timeout=0):
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)


class SweepResults:
    """Finished runs of a sweep that was given no file for them, until all are: the same command takes them over."""

    def __init__(self, specs: Sequence[RunSpec], begun: Sequence[Revisions]) -> None:
        keys = "".join(_key(spec, found) for spec, found in zip(specs, begun, strict=True))
        self._file: Path | None = default_home() / "unfinished" / f"{hashlib.sha256(keys.encode()).hexdigest()}.json"

    def read(self) -> list[RunResult]:
        """The runs that an earlier command has finished; a file that cannot be used holds none."""
        try:
            found = stored_runs(self._file)
        except (BadInput, OSError):
            self.remove()
            return []
        if found:
            _say(f"Continuing: an earlier command has finished {len(found)} run{'s' * (len(found) > 1)} of this sweep.")
        return found

    def write(self, results: Sequence[RunResult]) -> None:
        """Keep the runs so far. A disk that cannot take them is told once, and the sweep goes on without keeping any."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            merge_runs(results, self._file)
        except (BadInput, OSError) as error:
            self._file = None
            _say(f"{error} This sweep goes on; if it is ended, its runs are computed again.")

    def remove(self) -> None:
        """All are finished."""
        if self._file is not None:
            for file in (self._file, self._file.with_name(f".{self._file.name}.lock")):
                with suppress(OSError):
                    file.unlink(missing_ok=True)


def _key(spec: RunSpec, found: Revisions) -> str:
    """Everything that the blocks depend on."""
    parts = [spec.model_dump(mode="json"), found.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _finished(kept: BlockJournal, spec: RunSpec) -> str:
    ending = "" if kept.blocks == 1 else "s"
    return f"{kept.blocks} block{ending}" if spec.pattern.solves else f"{kept.blocks} round{ending} of scores"


def _say(words: str) -> None:
    notes.print(words, markup=False, highlight=False, soft_wrap=True)
