"""Trace of one real forward of a model: how each block is called, and which of its linear layers read the same input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec

from core.models.blocks import Linear, NotStreamable
from core.models.expert_inputs import ExpertInputs
from core.models.hooks import watched_inputs

Groups = tuple[tuple[Linear, ...], ...]


@dataclass(frozen=True, kw_only=True)
class PerWindow:
    """A recorded tensor whose first dimension grows with the number of windows."""

    tensor: Tensor

    def of(self, windows: int) -> Tensor:
        if self.tensor.shape[0] == 1:
            return self.tensor.expand(windows, *self.tensor.shape[1:])
        return self.tensor.repeat(windows, *[1] * (self.tensor.ndim - 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """Call of a block: the leaves of (args, kwargs), which of them is the hidden states, and what comes back."""

    leaves: list[Any]
    form: TreeSpec
    slot: int
    extras: int | None  # None: the block returns a tensor; else how many values follow it in a tuple
    groups: Groups

    def output(self, hidden: Tensor) -> Any:
        return hidden if self.extras is None else (hidden, *[None] * self.extras)


@contextmanager
def grouping(block: nn.Module, linears: Sequence[Linear]) -> Generator[Callable[[], Groups]]:
    """Watch one run of a block; the value given tells afterward which layers read the same memory, unchanged in between.

    Each expert's layers are groups of their own, behind the others: the router sends each another part of the tokens.
    """
    plain = [linear for linear in linears if linear.expert is None]
    experts = [linear for linear in linears if linear.expert is not None]
    ran_stacks: set[str] = set()
    reached: set[str] = set()  # modules that hold linear layers and ran
    inputs: list[tuple[Linear, Tensor, int]] = []  # the tensors are held, so that no address is used twice

    def note(linear: Linear) -> Callable[[Tensor], None]:
        return lambda tensor: inputs.append((linear, tensor, tensor._version))

    def groups() -> Groups:
        ran = Counter(linear.name for linear, _, _ in inputs)
        odd = next((linear for linear in plain if ran[linear.name] != 1), None)
        if odd is not None:
            raise NotStreamable(_odd(odd, ran[odd.name], reached=_holder(odd) in reached))
        idle = next((linear.stack for linear in experts if linear.stack not in ran_stacks), None)
        if idle is not None:
            raise NotStreamable(f"no product with a matrix of {idle} was seen while the model read text: its experts do not take their "
                                "matrices one by one.")
        shared: dict[tuple[int, ...], list[Linear]] = {}
        for linear, tensor, version in inputs:
            place = (tensor.data_ptr(), tensor.numel(), tensor.shape[-1], tensor.stride(-1), version)
            shared.setdefault(place, []).append(linear)
        return (*(tuple(group) for group in shared.values()), *((linear,) for linear in experts))

    with ExitStack() as hooks:
        hooks.enter_context(watched_inputs((linear.layer, note(linear)) for linear in plain))
        if experts:
            hooks.enter_context(ExpertInputs(experts, lambda linear, inputs: ran_stacks.add(linear.stack)))
        for holder in {_holder(linear) for linear in plain}:
            module = block.get_submodule(holder)
            hooks.callback(module.register_forward_pre_hook(_noting(reached, holder)).remove)
        yield groups


def _noting(reached: set[str], holder: str) -> Callable[[nn.Module, Any], None]:
    return lambda module, given: reached.add(holder)


def _holder(linear: Linear) -> str:
    """The module that holds a layer, by its name in the block."""
    return linear.module.rpartition(".")[0]


def _odd(linear: Linear, ran: int, *, reached: bool) -> str:
    """A sentence on a layer that does not run exactly once for a window."""
    if ran:
        return f"{linear.name} is run {ran} times for one window: its weights are shared between several places."
    if reached:
        return (f"{linear.name} is not run as a linear layer of its own: its weight is used inside another operation, as Mamba's "
                "state-space layers use theirs. What such a layer reads cannot be collected.")
    return (f"{linear.name} does not run when the model reads text alone: {_holder(linear)} waits for another input, such as an encoder's "
            "output. A decoder of an encoder-decoder pair (BART, Whisper) is no language model by itself.")


def ending_of(logits: Tensor) -> Tensor:
    """[1, L, vocabulary] -> the last 8 tokens', copied, so that the rest can go."""
    return logits[:, -8:].clone()


def hidden_slot(block: int, leaves: list[Any], previous: Tensor | None, output: Tensor) -> int:
    """Index of the hidden states among the arguments: what the block before returned; for the first block, a tensor like its output."""
    for slot, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.shape == output.shape and leaf.dtype == output.dtype and (
                previous is None or leaf is previous or torch.equal(leaf, previous)):
            return slot
    where = "before the first block" if previous is None else f"between blocks {block - 1} and {block}"
    raise NotStreamable(f"something that cannot be replayed happens to the hidden states {where}.")


def marked_for_windows(one: Any, two: Any, where: str) -> Any:
    """The argument `one` of a one-window call, marked where `two`, of a two-window call, shows that it grows with the batch."""
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        if _same(one, two):
            return one
        if one.ndim and two.shape == (2 * one.shape[0], *one.shape[1:]) and _same(torch.cat([one, one]), two):
            return PerWindow(tensor=one)
        raise NotStreamable(f"{where} takes a tensor {tuple(two.shape)} that depends on the text{_by_how_much(one, two)}.")
    if one is two or (isinstance(one, bool | int | float | str) and one == two):
        return one
    raise NotStreamable(f"{where} takes a {type(one).__name__} that differs from call to call.")


def _same(one: Tensor, two: Tensor) -> bool:
    """Equal up to rounding: the same sines, computed twice, have been seen to differ in their last bit on a busy machine."""
    if one.dtype != two.dtype or one.shape != two.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, two)
    near = 4 * torch.finfo(one.dtype).eps * float(one.abs().nan_to_num(0, 0, 0).amax()) if one.numel() else 0.0
    return torch.allclose(one, two, rtol=0, atol=near, equal_nan=True)


def _by_how_much(one: Tensor, two: Tensor) -> str:
    if one.shape != two.shape or not one.is_floating_point() or not one.numel():
        return ""
    difference = float((one - two).abs().nan_to_num(0, 0, 0).amax() / one.abs().nan_to_num(0, 0, 0).amax().clamp(min=1e-30))
    return f" (it differs by {difference:.1e} of its largest entry)"
