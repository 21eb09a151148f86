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
from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.core_model_loading import convert_and_load_state_dict_in_model
from transformers.modeling_utils import LoadStateDictConfig

from core.models.block_keys import BlockKeys, NotInBlocks, conversions, keys_by_block
from core.models.blocks import BlockMap, map_blocks
from core.models.linears import Linear
from core.models.loading import explained, fill, load_skeleton, refuse_not_finite, silent
from core.models.sources import ModelSource
from core.models.weight_files import FLOATS, Stored

_ON_DEMAND: Any = {"backend": "pread"}  # the bytes of a tensor and no more: a mapped file could be written or cut off under the run


class _Later:
    """Stands for a tensor that is read when its block's turn comes: only shape and dtype are known to transformers' loading."""

    def __init__(self, stored: Stored) -> None:
        self._tensor = torch.empty(stored.shape, dtype=getattr(torch, FLOATS[stored.dtype]), device="meta")

    def __getitem__(self, index: object) -> _Later:
        return self

    def to(self, device: object = None, dtype: torch.dtype | None = None) -> Tensor:
        return self._tensor.to(dtype=dtype or self._tensor.dtype)


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
    return model, replace(block_map, reader=FileReader(source, model, block_map, keys, dtype))


def open_layers(source: ModelSource, dtype: torch.dtype) -> tuple[PreTrainedModel, BlockMap]:
    """The same with nothing in memory: embeddings, norms and head are on the meta device too, for questions about single layers. Raises
    NotInBlocks."""
    skeleton = load_skeleton(source)
    keys, block_map = keys_by_block(source, skeleton), map_blocks(skeleton)
    return skeleton, replace(block_map, reader=FileReader(source, skeleton, block_map, keys, dtype))


class FileReader:
    """core.models.blocks.BlockReader of the files of a model. Blocks are lent to one thread at a time; any may ask for weights."""

    def __init__(self, source: ModelSource, model: PreTrainedModel, block_map: BlockMap, keys: BlockKeys, dtype: torch.dtype) -> None:
        self._source, self._model, self._block_map, self._keys = source, model, block_map, keys
        self._empty = [list(_parameters(block)) for block in block_map.blocks]
        self._lent = Counter[int]()
        self._alone = Lock()
        self._checked = set[int]()
        plan = model._get_dtype_plan(dtype)  # pyright: ignore[reportPrivateUsage]  transformers has no public name for it
        self._loading: dict[str, Any] = {"dtype": dtype, "dtype_plan": plan, "weight_mapping": conversions(model)}

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
    def weight(self, linear: Linear, device: torch.device) -> Tensor:
        """A layer's weight [c, b], read by itself, in the run's arithmetic. Raises as `lend`."""
        with self._alone:
            if self._lent[linear.block]:
                return linear.weight.to(device, copy=True)
            own = {key for key, _ in self._keys.blocks[linear.block] if self._keys.targets[key] == linear.stack}
            try:
                self._read(linear.block, device, own)
                return linear.weight.clone()
            finally:
                self._release(linear.block)

    @torch.no_grad()
    def _read(self, block: int, device: torch.device, some: Collection[str] = ()) -> None:
        """All tensors of a block, or `some` of them."""
        module, path = self._block_map.blocks[block], f"{self._block_map.path}.{block}"
        # A device map with a "disk" makes transformers convert one tensor after the other, so that one at a time is there twice.
        config = LoadStateDictConfig(device_map={"": device, "nothing": "disk"}, **self._loading)
        try:
            with ExitStack() as opened, silent(), explained(self._source):
                places = {key: file for key, file in self._keys.blocks[block] if not some or key in some}
                files = {file: opened.enter_context(safe_open(file, framework="pt", **_ON_DEMAND)) for file in set(places.values())}
                tensors = {key: files[file].get_slice(key) for key, file in places.items()}
                info, _ = convert_and_load_state_dict_in_model(self._model, tensors, config)
                wanted = {self._keys.targets[key] for key in some} or {f"{path}.{name}" for name, _ in module.named_parameters()}
                lost = [*info.conversion_errors, *info.mismatched_keys, *sorted(wanted & set(info.missing_keys))]
                if lost:
                    raise ValueError(f"{lost[0]} could not be read from its file.")
            module.requires_grad_(False)
            if not some and block not in self._checked:
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
