"""Arguments of a model's decoder blocks, recorded from two forwards of its own; `core.models.streaming` replays it.

The first forward is a real one of the probe window. The second, of two windows with its blocks short-circuited, shows how the arguments
depend on the batch, and refuses models in which they depend on the text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from core.models.blocks import BlockMap, NotStreamable
from core.models.causality import require_causal
from core.models.forward_trace import Call, ending_of, grouping, hidden_slot, marked_for_windows
from core.models.hooks import Forward, other_forwards
from core.spec.errors import Cancelled, PruneError, is_out_of_memory


class StopForward(BaseException):
    """Ends a forward of which no more is needed. Not an Exception, so that no model's own handler takes it."""


_log = logging.getLogger(__name__)
_LONGEST = 200  # letters of a model's own error
_Lend = Callable[[int], AbstractContextManager[None]]


def record(model: Any, block_map: BlockMap, probe: Tensor, on_device: _Lend) -> tuple[list[Call], Tensor, Tensor]:
    """The calls of two forwards that agree, marked for windows, and what `record_calls` returns with them.

    Where the two do not agree, both are made once more: on a busy machine one forward in some hundreds was seen to differ from the next,
    and a model that depends on the text does so again.
    """
    def recorded() -> tuple[list[Call], Tensor, Tensor]:
        calls, last, ending = record_calls(model, block_map, probe, on_device)
        return mark_for_windows(model, block_map, probe, calls), last, ending

    try:
        return recorded()
    except NotStreamable as error:
        found = recorded()
        _log.warning("two forwards differed, the next two agreed: %s", error.problem)
        return found


def record_calls(model: Any, block_map: BlockMap, probe: Tensor, on_device: _Lend) -> tuple[list[Call], Tensor, Tensor]:
    """One real forward of the probe [1, L], each block inside `on_device(block)`.

    Returns the calls, the last block's output [1, L, d], and the logits of the last tokens. Each block runs once more, with another
    last token (core/models/causality.py). Raises NotStreamable, NotCausal.
    """
    previous: Tensor | None = None
    order: list[int] = []
    calls: list[Call] = []

    def spy(index: int, block: nn.Module) -> Forward:
        original = block.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            nonlocal previous
            order.append(index)
            leaves, form = tree_flatten((args, kwargs))
            before = [leaf._version if isinstance(leaf, Tensor) else 0 for leaf in leaves]
            with on_device(index), grouping(block, block_map.linears[index]) as groups:
                output = original(*args, **kwargs)
            hidden: Tensor = output if isinstance(output, Tensor) else output[0]
            extras = None if isinstance(output, Tensor) else len(output) - 1
            slot = hidden_slot(index, leaves, previous, hidden)
            if leaves[slot]._version != before[slot] or hidden is leaves[slot]:
                raise NotStreamable(f"block {index} writes into its input.")
            require_causal(partial(_again, original, leaves, form, slot, on_device, index), leaves[slot], hidden, f"block {index + 1}")
            leaves[slot] = None
            calls.append(Call(leaves=leaves, form=form, slot=slot, extras=extras, groups=groups()))
            previous = hidden
            return output

        return forward

    def held(index: int, block: nn.Module) -> Forward:
        forward = spy(index, block)

        def on_its_device(*args: Any, **kwargs: Any) -> Any:
            with on_device(index):  # once for both runs
                return forward(*args, **kwargs)

        return on_its_device

    with other_forwards((block, held(index, block)) for index, block in enumerate(block_map.blocks)), _explained():
        ending = ending_of(model(input_ids=probe, use_cache=False).logits)
    if order != list(range(len(block_map.blocks))) or previous is None:
        raise NotStreamable(_out_of_order(order, len(block_map.blocks)))
    return calls, previous, ending


@contextmanager
def _explained() -> Generator[None]:
    """An error of the model's own code is raised as NotStreamable; want of memory stays what it is."""
    try:
        yield
    except (PruneError, Cancelled):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        words = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
        raise NotStreamable(f"its own code ends with an error when it reads text alone ({words}).") from error


def _again(forward: Forward, leaves: list[Any], form: TreeSpec, slot: int, on_device: _Lend, index: int,
           hidden: Tensor) -> Tensor:
    """A block's output for other hidden states and otherwise the same arguments."""
    args, kwargs = tree_unflatten([*leaves[:slot], hidden, *leaves[slot + 1 :]], form)
    with on_device(index):
        output = forward(*args, **kwargs)
    return output if isinstance(output, Tensor) else output[0]


def mark_for_windows(model: Any, block_map: BlockMap, probe: Tensor, calls: list[Call]) -> list[Call]:
    """The calls, with the recorded tensors marked that grow with the batch, by a forward of two windows that runs no block."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    windows = torch.cat([probe, (probe + 1) % vocabulary])
    again: list[list[Any]] = []

    def pass_on(call: Call) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            leaves, form = tree_flatten((args, kwargs))
            if form != call.form:
                raise NotStreamable("a block is called with other arguments for two windows than for one.")
            hidden, leaves[call.slot] = leaves[call.slot], None
            again.append(leaves)
            if len(again) == len(calls):
                raise StopForward
            return call.output(hidden)

        return forward

    with other_forwards((block, pass_on(call)) for block, call in zip(block_map.blocks, calls, strict=True)), suppress(StopForward), \
            _explained():
        model(input_ids=windows, use_cache=False)
    seen: dict[tuple[int, int], Any] = {}  # blocks share their masks: each pair is compared once and stays one tensor
    marked: list[Call] = []
    for index, (call, two) in enumerate(zip(calls, again, strict=True)):
        leaves: list[Any] = []
        for pair in zip(call.leaves, two, strict=True):
            key = (id(pair[0]), id(pair[1]))
            if key not in seen:
                seen[key] = marked_for_windows(*pair, f"block {index}")
            leaves.append(seen[key])
        marked.append(replace(call, leaves=leaves))
    return marked


def _out_of_order(order: list[int], blocks: int) -> str:
    if not order:
        return f"its longest list of {blocks} blocks is not run when it reads text, so it is no decoder of this text."
    if len(set(order)) < len(order):
        twice = next(block for block in order if order.count(block) > 1)
        return f"it runs block {twice} more than once for a text: what pruning it costs would depend on the run."
    if order != sorted(order):
        return f"it does not run its {blocks} blocks from the first to the last."
    return f"it leaves out {blocks - len(order)} of its {blocks} blocks for a text."
