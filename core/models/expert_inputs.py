"""Inputs of experts whose matrices are stacked in one parameter, seen where they are multiplied: by storage, not by name.

    with ExpertInputs(linears, see): block(hidden)        see(linear, X) for every product X·Wᵀ of a layer, X [tokens, b]

Whatever a family's forward looks like (F.linear on a slice, hidden @ slice, one batched product of all), torch ends in a few products, and
one operand lies in the stack's storage: its offset says which expert, its strides which way the matrix lies. Rows of zeros, which
batched products have for tokens that were sent elsewhere, are no inputs. Nothing is seen of layers that are no experts.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from core.models.blocks import NotStreamable
from core.models.linears import Linear
from core.spec.errors import BadInput

_ATEN = torch.ops.aten
_PAIRS = {_ATEN.mm.default: (0, 1), _ATEN.addmm.default: (1, 2), _ATEN.bmm.default: (0, 1), _ATEN.baddbmm.default: (1, 2)}
_BY_ROWS = "_linear_pointwise"  # oneDNN's inputs · weightᵀ, which takes [out, in]


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """A stacked parameter [E, ·, ·] with the layer of each expert that is watched."""

    parameter: Tensor
    layers: dict[int, Linear]


class ExpertInputs(TorchDispatchMode):
    """Calls `see(linear, X)` with X [tokens, b] of every product with an expert's matrix. Raises NotStreamable where it lies otherwise
    than the layer says."""

    def __init__(self, linears: Sequence[Linear], see: Callable[[Linear, Tensor], None]) -> None:
        super().__init__()
        self._see = see
        by_name: dict[str, _Stack] = {}
        for linear in linears:
            if linear.expert is not None:
                parameter = getattr(linear.layer, linear.parameter).detach()
                by_name.setdefault(linear.stack, _Stack(parameter=parameter, layers={})).layers[linear.expert] = linear
        self._stacks: dict[int, list[_Stack]] = {}
        for stack in by_name.values():
            self._stacks.setdefault(stack.parameter.untyped_storage().data_ptr(), []).append(stack)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func in _PAIRS:
            left, right = (args[place] for place in _PAIRS[func])
            self._note(left, right)
        elif _BY_ROWS in str(func) and isinstance(args[1], Tensor):
            self._note(args[0].flatten(0, -2), args[1].t())
        return func(*args, **kwargs or {})

    def _note(self, left: Tensor, right: Tensor) -> None:
        """Inputs of the product left · right, where one of them is an expert's matrix."""
        if (stack := self._stack(right)) is not None:
            self._of(stack, left, right)
        elif (stack := self._stack(left)) is not None:
            self._of(stack, right.transpose(-1, -2), left.transpose(-1, -2))

    def _stack(self, tensor: Tensor) -> _Stack | None:
        if not tensor.numel():
            return None
        sharing = self._stacks.get(tensor.untyped_storage().data_ptr(), ())
        return next((stack for stack in sharing if 0 <= tensor.storage_offset() - stack.parameter.storage_offset()
                     < stack.parameter.numel()), None)

    def _of(self, stack: _Stack, inputs: Tensor, matrix: Tensor) -> None:
        """inputs [(n,) tokens, b], matrix [(n,) b, c]: a view of one expert's, or of consecutive ones'."""
        step = stack.parameter.stride(0)
        first, rest = divmod(int(matrix.storage_offset()) - int(stack.parameter.storage_offset()), int(step))
        if rest:  # a later part of a matrix whose first part has been seen with the same inputs
            return
        transposed = matrix.stride(-1) == 1 and matrix.stride(-2) != 1
        if matrix.ndim == 2:
            self._tell(stack, first, inputs, transposed)
        else:
            for place in range(len(matrix)):
                rows = inputs[place]
                self._tell(stack, first + place, rows[rows.ne(0).any(1)], transposed)

    def _tell(self, stack: _Stack, expert: int, inputs: Tensor, transposed: bool) -> None:
        linear = stack.layers.get(expert)
        if linear is None:
            return
        if transposed != linear.transposed or inputs.shape[-1] != linear.columns:
            lies = "[in, out]" if transposed else "[out, in]"
            raise NotStreamable(f"{linear.name} is multiplied with inputs of {inputs.shape[-1]} numbers, as {lies}; it was taken for "
                                f"{linear.rows}×{linear.columns}.")
        if len(inputs):
            self._see(linear, inputs)


@contextmanager
def all_tokens_to_experts(linears: Sequence[Linear], see: Callable[[Linear, Tensor], None]) -> Generator[None]:
    """As `ExpertInputs`, but each expert is seen with every token: before a module of experts runs as the router says, it runs once for
    each expert with all tokens. Raises BadInput for experts that take no table of experts by token."""
    watched = [linear for linear in linears if linear.expert is not None]
    odd = next((linear for linear in watched if not hasattr(linear.layer, "is_transposed")), None)
    if odd is not None:
        raise BadInput("experts", "all", f"routed or dense for this family: {odd.stack} does not take its experts by token",
                       "Choose one of these.")
    by_module: dict[nn.Module, set[int]] = {}
    for linear in watched:
        by_module.setdefault(linear.layer, set()).add(linear.expert or 0)
    busy: list[nn.Module] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if module in busy:
            return
        busy.append(module)
        tokens: Tensor = args[0] if args else kwargs["hidden_states"]
        table = torch.empty(len(tokens), 1, dtype=torch.int64, device=tokens.device)
        with ExpertInputs([linear for linear in watched if linear.layer is module], see):
            for expert in sorted(by_module[module]):
                module(tokens, table.fill_(expert), torch.ones_like(table, dtype=tokens.dtype))
        busy.remove(module)

    with ExitStack() as hooks:
        for module in by_module:
            hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        yield


def watched_experts(linears: Sequence[Linear], see: Callable[[Linear, Tensor], None], *, all_tokens: bool) -> AbstractContextManager[Any]:
    """One of the two above; nothing where no layer is an expert's, since looking at every product takes time."""
    if not any(linear.expert is not None for linear in linears):
        return nullcontext()
    return all_tokens_to_experts(linears, see) if all_tokens else ExpertInputs(linears, see)


def use_slices(model: nn.Module) -> None:
    """Let experts compute one after another with their own slices of the stacks, in place of one fused kernel for all."""
    for module in model.modules():
        config = getattr(module, "config", None)
        if hasattr(module, "is_transposed") and config is not None:
            config._experts_implementation = "eager"  # as from_config(experts_implementation=...) does
