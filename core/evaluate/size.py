"""Size of a pruned model: bytes as it is stored, and as formats that make use of zeros would store it. Counted, never estimated."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.records.shapes import RemovedShape
from core.records.size_speed import LayerCount, Sizes

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn


def count_layer(weight: Tensor, *, dense: int | None = None) -> LayerCount:
    """Counts of a weight [out, in] of any dtype. `dense`: entries of the layer before pruning, where its shape is smaller now."""
    zero = weight == 0
    columns = weight.shape[1]
    groups = zero[:, : columns - columns % 4].unflatten(1, (-1, 4)) if columns >= 4 else None
    fits = groups is not None and columns % 4 == 0 and bool((groups.sum(-1) >= 2).all())
    return LayerCount(weights=weight.numel(), zeros=int(zero.sum()), fits_two_four=fits, zero_rows=int(zero.all(1).sum()),
                      zero_columns=int(zero.all(0).sum()), removed=(dense or weight.numel()) - weight.numel())


def smaller_sizes(model: nn.Module, small: nn.Module, shape: RemovedShape, stored: dtype, *, folder_bytes: int) -> Sizes:
    """Sizes of a model without what `shape` took out: `small` is what is left. `folder_bytes`: of its tensors, as they are stored."""
    from core.models.blocks import map_blocks

    dense, left = ([linear for block in map_blocks(one).linears for linear in block] for one in (model, small))
    counts = [count_layer(now.weight, dense=before.rows * before.columns)
              for before, now in zip([linear for linear in dense if linear.block not in shape.blocks], left, strict=True)]
    gone = LayerCount(weights=0, zeros=0, fits_two_four=False)
    counts += [gone.model_copy(update={"removed": linear.rows * linear.columns}) for linear in dense if linear.block in shape.blocks]
    return Sizes(dtype=str(stored).removeprefix("torch."), element_bytes=stored.itemsize, parameters=shape.parameters, layers=tuple(counts),
                 folder_bytes=folder_bytes, removed_beside=shape.removed - sum(count.removed for count in counts))


def model_sizes(model: nn.Module, weights: Mapping[str, Tensor] | None, stored: dtype, *, dense_bytes: int | None = None) -> Sizes:
    """Sizes of a model with `weights` [out, in] by layer name in place of its own (None: its own), stored in the dtype `stored`.

    `dense_bytes`: bytes of the dense checkpoint's tensors, whose dtypes an export keeps. None: all of the model's parameters and
    persistent buffers in `stored`, as save_pretrained writes them; tied ones count once.
    """
    from core.models.blocks import map_blocks, parameter_count

    element = stored.itemsize
    linears = [linear for block in map_blocks(model).linears for linear in block]
    counts = tuple(count_layer((weights or {}).get(linear.name, linear.weight), dense=linear.rows * linear.columns) for linear in linears
                   if weights is None or linear.name in weights)
    tensors: dict[str, Any] = model.state_dict()
    unique = {(tensor.data_ptr(), tensor.shape): tensor for tensor in tensors.values()}
    total = sum(tensor.numel() * (element if tensor.is_floating_point() else tensor.itemsize) for tensor in unique.values())
    return Sizes(dtype=str(stored).removeprefix("torch."), element_bytes=element, parameters=parameter_count(model), layers=counts,
                 folder_bytes=(total if dense_bytes is None else dense_bytes) - element * sum(count.removed for count in counts))
