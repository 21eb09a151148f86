"""A model whose decoder blocks stay in their safetensors files: one block's weights are read when its turn comes.

    model, block_map = open_blocks(source, dtype)         # embeddings, norms and head in memory, blocks on the meta device
    with block_map.reader.lend(3, device):                # read from the files, converted, on the device
        ...                                               # then let go

Names, dtypes and conversions are those of transformers' own loading, which is called once for the frame and once a block, so that every
weight has the same bits as in a model that is loaded whole.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, convert_and_load_state_dict_in_model, rename_source_key
from transformers.modeling_utils import LoadStateDictConfig

from core.data.files import stamp
from core.models.blocks import BlockMap, map_blocks
from core.models.folders import source_weights
from core.models.loading import explained, fill, load_skeleton, refuse_not_finite, silent
from core.models.sources import ModelSource
from core.models.weight_files import FLOATS, Stored, read_header
from core.spec.errors import PruneError

_ON_DEMAND: Any = {"backend": "pread"}  # the bytes of a tensor and no more: a mapped file could be written or cut off under the run


class NotInBlocks(PruneError):
    """A checkpoint whose blocks cannot be read one at a time, with the reason. It can be loaded whole."""


@dataclass(frozen=True, kw_only=True)
class BlockKeys:
    """The checkpoint's tensors, as (name, file), by block; all others under `frame`."""

    blocks: tuple[tuple[tuple[str, Path], ...], ...]
    frame: tuple[tuple[str, Path], ...]
    stored: Mapping[str, Stored]


class _Later:
    """Stands for a tensor that is read when its block's turn comes: only shape and dtype are known to transformers' loading."""

    def __init__(self, stored: Stored) -> None:
        self._tensor = torch.empty(stored.shape, dtype=getattr(torch, FLOATS[stored.dtype]), device="meta")

    def __getitem__(self, index: object) -> _Later:
        return self

    def to(self, device: object = None, dtype: torch.dtype | None = None) -> Tensor:
        return self._tensor.to(dtype=dtype or self._tensor.dtype)


def keys_by_block(source: ModelSource, skeleton: PreTrainedModel) -> BlockKeys:
    """The tensors of the checkpoint by the block that they make up, after transformers' own renaming. Reads headers only.

    Raises NotInBlocks where a block's weights are used elsewhere as well, or are no floats.
    """
    block_map = map_blocks(skeleton)
    _refuse_shared(skeleton, block_map)
    names = {f"{block_map.path}.{index}.{name}": index for index, block in enumerate(block_map.blocks)
             for name, _ in block.named_parameters()}
    mapping = _mapping(skeleton)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    known = skeleton.state_dict()
    blocks: list[list[tuple[str, Path]]] = [[] for _ in block_map.blocks]
    frame: list[tuple[str, Path]] = []
    stored: dict[str, Stored] = {}
    for file in source_weights(source):
        for key, tensor in read_header(stamp(file)).items():
            target, _ = rename_source_key(key, renamings, converters, skeleton.base_model_prefix, known)
            if target not in known and key in known:
                target = key
            block = names.get(target)
            if block is not None and tensor.dtype not in FLOATS:
                raise NotInBlocks(f"{key} is stored as {tensor.dtype}.")
            (frame if block is None else blocks[block]).append((key, file))
            stored[key] = tensor
    return BlockKeys(blocks=tuple(map(tuple, blocks)), frame=tuple(frame), stored=stored)


def bytes_of_blocks(source: ModelSource, kept: Collection[int]) -> int:
    """Bytes of the checkpoint's tensors without those of the blocks that are not in `kept`. Raises as `keys_by_block`."""
    keys = keys_by_block(source, load_skeleton(source))
    names = [*keys.frame, *(key for block, stored in enumerate(keys.blocks) if block in kept for key in stored)]
    return sum(keys.stored[name].stop - keys.stored[name].start for name, _ in names)


def open_blocks(source: ModelSource, dtype: torch.dtype) -> tuple[PreTrainedModel, BlockMap]:
    """The model with all but its blocks in memory, and its blocks with a reader. Same dtypes, checks and errors as `load_model`; a block's
    own weights are checked when they are first read. Raises NotInBlocks for a checkpoint that has to be loaded whole."""
    skeleton = load_skeleton(source)
    keys = keys_by_block(source, skeleton)
    pending: dict[str, Any] = {key: _Later(keys.stored[key]) for block in keys.blocks for key, _ in block}
    with explained(source):
        for file in {file for _, file in keys.frame}:
            with safe_open(file, framework="pt", **_ON_DEMAND) as tensors:
                pending.update({key: tensors.get_tensor(key) for key, place in keys.frame if place == file})
    model = fill(source, skeleton, pending, dtype)
    block_map = map_blocks(model)
    for index, block in enumerate(block_map.blocks):
        here = next((name for name, parameter in block.named_parameters() if not parameter.is_meta), None)
        if here is not None:
            raise NotInBlocks(f"{block_map.path}.{index}.{here} is not in a tensor of its own.")
    return model, replace(block_map, reader=_Reader(source, model, block_map, keys.blocks, dtype))


class _Reader:
    """core.models.blocks.BlockReader of the files of a model. One thread at a time."""

    def __init__(self, source: ModelSource, model: PreTrainedModel, block_map: BlockMap, keys: Sequence[Sequence[tuple[str, Path]]],
                 dtype: torch.dtype) -> None:
        self._source, self._model, self._block_map, self._keys = source, model, block_map, keys
        self._empty = [list(_parameters(block)) for block in block_map.blocks]
        self._lent = Counter[int]()
        self._checked = set[int]()
        plan = model._get_dtype_plan(dtype)  # pyright: ignore[reportPrivateUsage]  transformers has no public name for it
        self._loading: dict[str, Any] = {"dtype": dtype, "dtype_plan": plan, "weight_mapping": _mapping(model)}

    @contextmanager
    def lend(self, block: int, device: torch.device) -> Generator[None]:
        """As BlockReader. Raises BadInput where the files no longer hold the block, or hold a NaN."""
        if not self._lent[block]:
            self._read(block, device)
        self._lent[block] += 1
        try:
            yield
        finally:
            self._lent[block] -= 1
            if not self._lent[block]:
                self._release(block)

    @torch.no_grad()
    def _read(self, block: int, device: torch.device) -> None:
        module, path = self._block_map.blocks[block], f"{self._block_map.path}.{block}"
        # A device map with a "disk" makes transformers convert one tensor after the other, so that one at a time is there twice.
        config = LoadStateDictConfig(device_map={"": device, "nothing": "disk"}, **self._loading)
        try:
            with ExitStack() as opened, silent(), explained(self._source):
                files = {file: opened.enter_context(safe_open(file, framework="pt", **_ON_DEMAND))
                         for file in {file for _, file in self._keys[block]}}
                tensors = {key: files[file].get_slice(key) for key, file in self._keys[block]}
                info, _ = convert_and_load_state_dict_in_model(self._model, tensors, config)
                lost = [*info.conversion_errors, *info.mismatched_keys, *(name for name, _ in module.named_parameters()
                                                                            if f"{path}.{name}" in info.missing_keys)]
                if lost:
                    raise ValueError(f"{lost[0]} could not be read from its file.")
            module.requires_grad_(False)
            if block not in self._checked:
                refuse_not_finite(self._source, module, path)
                self._checked.add(block)
        except BaseException:
            self._release(block)
            raise

    def _release(self, block: int) -> None:
        for module, name, parameter in self._empty[block]:
            setattr(module, name, parameter)


def _parameters(block: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    for module in block.modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield module, name, parameter


def _mapping(model: PreTrainedModel) -> list[Any]:
    """Transformers' renamings and conversions from checkpoints of this family."""
    return list(get_model_conversion_mapping(model, None, None) or [])


def _refuse_shared(model: PreTrainedModel, block_map: BlockMap) -> None:
    """Raise NotInBlocks for a parameter of a block that is used in another place too."""
    uses = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    tied = {name for pair in (getattr(model, "all_tied_weights_keys", None) or {}).items() for name in pair}
    for index, block in enumerate(block_map.blocks):
        for name, parameter in block.named_parameters():
            if uses[id(parameter)] > 1 or f"{block_map.path}.{index}.{name}" in tied:
                raise NotInBlocks(f"{block_map.path}.{index}.{name} is shared with another part of the model.")
