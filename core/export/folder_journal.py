"""Journal of a run whose pruned model is written to a folder, block by block, so that neither has to fit into memory.

    FOLDER/.unfinished        copies of the dense model's weight files, the layers of finished blocks written into them
    FOLDER/.unfinished-run    the finished blocks as the run had them, in its own dtype, and which run that is

No index and no config.json is there before the end: a folder that is not whole does not load. A run that was killed continues after its
last finished block when it is asked for again with the same folder.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from core.export.places import Place, files_of, locate
from core.export.weights import write_layers
from core.models.blocks import Linear, map_blocks
from core.models.folders import ModelSource, source_weights
from core.models.loading import load_skeleton
from core.models.sources import resolve_model
from core.records import LayerRecord, Revisions, ScoredRound
from core.run.journal import BlockState
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.base import FrozenModel
from core.spec.errors import BadInput

PART, RUN = ".unfinished", ".unfinished-run"  # of a folder that is being written
_ASKED, _LAYERS = "run.json", "layers"


class _Asked(FrozenModel):
    """A run that a journal belongs to."""

    spec: RunSpec
    revisions: Revisions


class _Layers(FrozenModel):
    layers: tuple[LayerRecord, ...]
    scored: ScoredRound | None = None


class FolderJournal:
    """core.run.journal.Journal in `folder`; with `shards`, finished blocks are written into copies of the weight files too."""

    def __init__(self, folder: Path, spec: RunSpec, *, shards: bool) -> None:
        self._folder, self._spec, self._shards = folder, spec, shards
        self._blocks = folder / RUN

    def read(self, block: int) -> BlockState | None:
        """The finished block of this very run, or None."""
        file = self._file(block)
        try:
            with safe_open(file, framework="pt", backend="pread") as tensors:
                kept = _Layers.model_validate_json(tensors.metadata()[_LAYERS])
                return BlockState(layers=kept.layers, scored=kept.scored,
                                  weights={name: tensors.get_tensor(name) for name in tensors.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValidationError):
            return None

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block: all of it or nothing. Raises BadInput where the folder cannot be written."""
        try:
            if self._shards:
                self._write_shards(state.weights)
            file = self._file(block)
            temporary = file.with_suffix(".tmp")
            save_file({name: weight.detach().contiguous().cpu() for name, weight in state.weights.items()}, temporary,
                      metadata={_LAYERS: _Layers(layers=state.layers, scored=state.scored).model_dump_json()})
            temporary.replace(file)
        except (OSError, SafetensorError) as error:
            raise BadInput("save", str(self._folder), "a folder on a disk that can be written",
                           f"{error}. Finished blocks are kept there: the same command continues after them.") from error

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The pruned weights [out, in] of all finished blocks by layer name, each read when it is asked for."""
        return _Weights(sorted(self._blocks.glob("block-*.safetensors")))

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the weight files in PART that have all finished blocks' layers."""
        return tuple(sorted(file.name for file in (self._folder / PART).glob("*.safetensors"))) if self._shards else ()

    def close(self) -> None:
        """Remove all that is unfinished, and the folder where nothing else is in it: the model was written, or cannot be."""
        for part in (self._blocks, self._folder / PART):
            shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _file(self, block: int) -> Path:
        self._begun  # noqa: B018  made once
        return self._blocks / f"block-{block:05d}.safetensors"

    @cached_property
    def _begun(self) -> bool:
        """The folders of this run; what another run left there is removed."""
        asked = _Asked(spec=self._spec, revisions=revisions(self._spec)).model_dump_json()
        try:
            same = (self._blocks / _ASKED).read_text(encoding="utf-8") == asked
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            for part in (self._blocks, self._folder / PART):
                shutil.rmtree(part, ignore_errors=True)
            self._blocks.mkdir(parents=True)
            (self._blocks / _ASKED).write_text(asked, encoding="utf-8")
        return same

    @cached_property
    def _places(self) -> tuple[ModelSource, PreTrainedModel, dict[str, Place]]:
        source = resolve_model(self._spec.model, self._spec.revision)
        model = load_skeleton(source)
        return source, model, locate(source, all_linears(model), model)

    def _write_shards(self, weights: Mapping[str, Tensor]) -> None:
        source, model, places = self._places
        part = self._folder / PART
        part.mkdir(exist_ok=True)
        mine = {name: place for name, place in places.items() if name in weights}
        names = files_of(source, mine, model)
        for file in source_weights(source):
            target = part / file.name
            if file.name in names and not target.exists():
                shutil.copyfile(file, target.with_suffix(".tmp"))
                target.with_suffix(".tmp").replace(target)
        write_layers(source, mine, weights, model, part)


class _Weights(Mapping[str, Tensor]):
    """Tensors of safetensors files by name, none of them held."""

    def __init__(self, files: list[Path]) -> None:
        self._files: dict[str, Path] = {}
        for file in files:
            with safe_open(file, framework="pt", backend="pread") as tensors:
                self._files |= dict.fromkeys(tensors.keys(), file)

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self._files[name], framework="pt", backend="pread") as tensors:
            return tensors.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def all_linears(model: PreTrainedModel) -> list[Linear]:
    """The linear layers of all blocks of a model."""
    return [linear for linears in map_blocks(model).linears for linear in linears]
