"""Write a pruned model as an ordinary Hugging Face folder: the dense model's with other weights, and the run's record beside them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from core.export.check import check_export
from core.export.companions import carry_over
from core.export.folder_journal import PART, RUN, all_linears
from core.export.places import locate
from core.export.smaller import require_smaller, smaller_weights, write_config, write_smaller
from core.export.weights import copy_pruned, require_representable
from core.models.folders import index_of
from core.models.inputs import take_inputs
from core.models.loading import load_skeleton
from core.models.placement import Streaming
from core.models.sources import resolve_model
from core.records import RunResult
from core.run.journal import BlockState
from core.spec import RunSpec
from core.spec.errors import BadInput, InputChanged

RECORD = "prunescope.json"
_MOVES = ".moves"  # in PART: names of the files that are being put into their place, as JSON


class MemoryJournal:
    """A journal that lives as long as this process: the command line's, when it has to write the model at the end."""

    def __init__(self) -> None:
        self.states: dict[int, BlockState] = {}

    def read(self, block: int) -> BlockState | None:
        return self.states.get(block)

    def write(self, block: int, state: BlockState) -> None:
        self.states[block] = state

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: weight for state in self.states.values() for name, weight in state.weights.items()}


def require_empty(folder: Path) -> None:
    """Raises BadInput for a folder that holds something already, or that cannot be made."""
    if folder.exists() and (not folder.is_dir() or any(entry.name not in (PART, RUN) for entry in folder.iterdir())):
        raise BadInput("save", str(folder), "a folder that is empty or does not exist yet", "Choose another, or empty it.")
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise BadInput("save", str(folder), "a folder that can be made and written", f"{there} cannot be written. Choose another.")


def take_back(folder: Path) -> None:
    """Make a save that was ended while its files were put into their place unfinished again, so that the same command continues it. One
    that has its config.json is whole: only what is left over goes."""
    part = folder / PART
    try:
        names: list[str] = json.loads((part / _MOVES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if (folder / "config.json").is_file():
        for rest in (folder / RUN, part):
            shutil.rmtree(rest, ignore_errors=True)
        return
    for name in names:
        if (folder / name).is_file() and Path(name).name == name:
            (folder / name).replace(part / name)
    (part / _MOVES).unlink()


def require_exportable(spec: RunSpec) -> None:
    """Raises BadInput for a checkpoint whose layers could not be written in place, before a run that is to be exported. Of a hub model
    that is not here yet nothing is known."""
    try:
        source = resolve_model(spec.model, spec.revision)
    except BadInput:
        return
    model = load_skeleton(source)
    locate(source, all_linears(model), model)


def save_checkpoint(result: RunResult, weights: Mapping[str, Tensor], folder: Path, *, written: Collection[str] = (),
                    streaming: Streaming | None = None, limit: int | None = None,
                    beside: Callable[[RunResult], Mapping[str, str]] = lambda result: {}) -> RunResult:
    """Write the dense model's folder with `weights` [out, in] by layer name in place of its own; returns the record with its `export`.

    Every tensor keeps the dtype that it has in the checkpoint: a mask survives any, kept weights are rounded. What pruning does not change
    is carried over (core/export/companions.py). The export is opened again and compared with the run before it takes its place, and
    config.json comes last: a folder that is not whole does not load. `written` names weight files that a FolderJournal has written
    there as the run went on. `streaming` and `limit` decide how the export is opened (core/models/placement.py). `beside`: further
    files by name, written from the record.
    Raises BadInput for a folder that is not empty or cannot be written, and for weights that the checkpoint's dtype cannot hold, before
    anything is written; InputChanged where the dense model is not the one that was pruned; ExportDiffers.
    """
    require_empty(folder)
    inputs = take_inputs(result.spec, ("model", "evaluation"))
    for name in ("model", "evaluation"):
        if inputs.addresses[name] != getattr(result.revisions, name):
            raise InputChanged(name, result.spec.model if name == "model" else result.spec.evaluation.source)
    source = inputs.source
    model = load_skeleton(source)
    places = locate(source, [linear for linear in all_linears(model) if linear.name in weights], model)
    require_representable(weights, places)
    if (shape := result.shape) is not None:
        require_smaller(source, shape)
    made = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    part = folder / PART
    try:
        if not written:
            shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True, exist_ok=True)
        if shape is None:
            copy_pruned(source, weights, places, model, part, written)
        carry_over(source, index_of(source), part)
        if shape is not None:
            write_smaller(source, shape, weights, part)
            write_config(source, shape, part)
            weights = smaller_weights(model, shape, weights)
        inputs.check()
        result = result.model_copy(update={"export": check_export(result, weights, places, part, streaming, limit)})
        for name, text in {RECORD: result.model_dump_json(indent=1), **beside(result)}.items():
            (part / name).write_text(text, encoding="utf-8")
        inputs.check()
        _put_into_place(part, folder)
    except BaseException as error:
        _remove(part, made)
        if isinstance(error, OSError):
            raise BadInput("save", str(folder), "a folder that can be written",
                           f"{error.strerror or error}. Nothing was left behind.") from error
        raise
    return result


def _put_into_place(part: Path, folder: Path) -> None:
    files = sorted(part.iterdir(), key=_order)
    (part / _MOVES).write_text(json.dumps([file.name for file in files]), encoding="utf-8")
    for file in files:
        file.replace(folder / file.name)
    (part / _MOVES).unlink()
    part.rmdir()


def _order(file: Path) -> tuple[bool, bool]:
    """Weights and the rest, then the index, then config.json."""
    return file.name == "config.json", file.name.endswith(".index.json")


def _remove(part: Path, made: list[Path]) -> None:
    """Take away an unfinished export, and the folders that were made for it."""
    shutil.rmtree(part, ignore_errors=True)
    with suppress(OSError):  # what holds something stays
        for path in made:
            path.rmdir()
