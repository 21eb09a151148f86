"""Run a model's decoder blocks one at a time, with everything around them left to the model itself.

    stream = Stream(model, map_blocks(model), device, probe)      # one real forward of the probe window, recorded
    hidden = stream.embed(tokens)                                 # the model's own forward, stopped at the first block
    for block in range(stream.blocks):
        with stream.on_device(block):
            stream.observe(block, hidden, collect)                # the inputs of each group of linear layers
            hidden = stream.forward(block, hidden)
    stream.logits(hidden)                                         # the model's own forward, its blocks short-circuited

What the blocks are called with besides the hidden states (masks, positions) is recorded from the probe. A second forward of two
other windows, its blocks short-circuited, shows how these depend on the batch, and refuses models in which they depend on the text.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from transformers import PreTrainedModel

from core.linalg.products import FastLayers
from core.models.blocks import BlockMap, NotStreamable
from core.models.forward_trace import Call, Groups, PerWindow, ending_of, grouping, hidden_slot, marked_for_windows
from core.models.hooks import Forward, other_forwards, watched_inputs

Observer = Callable[[int, Tensor], None]


class StopForward(BaseException):
    """Ends a forward of which no more is needed. Not an Exception, so that no model's own handler takes it."""


class Stream:
    """A model opened for block-by-block running. On the CPU nothing moves; elsewhere one block at a time does.

    `probe` [1, L] integer: all later windows must have its length L. Embeddings, final norm and head live on `device` until
    `close` (or the end of a `with`; of several streams of a model the last opened closes first). Hidden states are [n, L, d] in the
    model's dtype; they may come from any device and are returned on `device`. No gradients but where a name says so.
    Raises NotStreamable where block by block would differ from the model.
    """

    @torch.no_grad()
    def __init__(self, model: PreTrainedModel, block_map: BlockMap, device: torch.device | str, probe: Tensor) -> None:
        assert probe.ndim == 2, "the probe is one window [1, L]"
        assert probe.shape[0] == 1, "the probe is one window [1, L]"
        self.block_map, self.device = block_map, torch.empty(0, device=device).device
        self.blocks, self.length = len(block_map.blocks), probe.shape[1]
        self._model: Any = model
        self._probe = probe.to(self.device, torch.int64)
        self._home = next(model.parameters()).device
        self._move_frame(self.device)
        self._calls: list[Call] = []
        try:
            last, ending = self._record()
            self._compare_with_two_windows()
            tolerance = max(1e-3, 4 * torch.finfo(ending.dtype).eps) * float(ending.nan_to_num(0, 0, 0).abs().amax())
            if not torch.allclose(ending_of(self.logits(last)), ending, rtol=0, atol=tolerance, equal_nan=True):
                raise NotStreamable("its output depends on more than what the last block returns.")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Move embeddings, norm and head back to where they came from."""
        self._move_frame(self._home)

    @torch.no_grad()
    def embed(self, tokens: Tensor) -> Tensor:
        """tokens [n, L] -> the first block's hidden states [n, L, d]."""
        assert tokens.shape[1] == self.length, f"windows of {tokens.shape[1]} tokens; the probe had {self.length}"
        caught: list[Tensor] = []

        def capture(*args: Any, **kwargs: Any) -> None:
            caught.append(tree_flatten((args, kwargs))[0][self._calls[0].slot])
            raise StopForward

        with other_forwards([(self.block_map.blocks[0], capture)]):
            try:
                self._model(input_ids=tokens.to(self.device, torch.int64), use_cache=False)
            except StopForward:
                return caught[0]
        raise NotStreamable("its first block was not reached.")

    @torch.no_grad()
    def forward(self, block: int, hidden: Tensor) -> Tensor:
        """hidden [n, L, d] -> the block's output [n, L, d], as the model would call it."""
        return self.forward_with_grad(block, hidden)

    def forward_with_grad(self, block: int, hidden: Tensor) -> Tensor:
        """As `forward`, and where gradients are on, they are taken."""
        call, windows = self._calls[block], hidden.shape[0]
        leaves = [leaf.of(windows) if isinstance(leaf, PerWindow) else leaf for leaf in call.leaves]
        leaves[call.slot] = hidden.to(self.device)
        args, kwargs = tree_unflatten(leaves, call.form)
        with self.on_device(block), FastLayers():
            output = self.block_map.blocks[block](*args, **kwargs)
        return output if isinstance(output, Tensor) else output[0]

    def groups(self, block: int) -> Groups:
        """The block's linear layers, those that read the very same input together, in the order they run."""
        return self._calls[block].groups

    @torch.no_grad()
    def observe(self, block: int, hidden: Tensor, observer: Observer, *, last: int | None = None) -> Tensor | None:
        """As `forward`; `observer(group, X)` sees each group's input X [tokens, b] just before the group's first layer runs.

        With `last`, the forward ends once that group was seen, and nothing is returned: a block's last layer is a fifth of its work.
        """

        def watch(group: int) -> Callable[[Tensor], None]:
            def seen(tensor: Tensor) -> None:
                observer(group, tensor.flatten(0, -2))
                if group == last:
                    raise StopForward

            return seen

        with watched_inputs((group[0].layer, watch(index)) for index, group in enumerate(self.groups(block))), suppress(StopForward):
            return self.forward(block, hidden)
        return None

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """The last block's output [n, L, d] -> [n, L, vocabulary]: the model's own norm, projections, capping and head."""
        return self.logits_with_grad(hidden)

    def logits_with_grad(self, hidden: Tensor) -> Tensor:
        """As `logits`, and where gradients are on, they are taken."""
        hidden = hidden.to(self.device)

        def give(call: Call) -> Forward:
            return lambda *args, **kwargs: call.output(hidden)

        with FastLayers(), other_forwards((block, give(call)) for block, call in zip(self.block_map.blocks, self._calls, strict=True)):
            return self._model(input_ids=self._probe.expand(hidden.shape[0], -1), use_cache=False).logits

    @contextmanager
    def on_device(self, block: int) -> Generator[None]:
        """The block's weights on the stream's device for the time of the `with`; nothing where they already are."""
        module = self.block_map.blocks[block]
        home = next(module.parameters()).device
        if home == self.device:
            yield
            return
        try:
            module.to(self.device)
            yield
        finally:
            module.to(home)

    def _record(self) -> tuple[Tensor, Tensor]:
        """One real forward of the probe. Fills `_calls`; returns the last block's output and the logits of the last tokens."""
        previous: Tensor | None = None
        order: list[int] = []

        def spy(index: int, block: nn.Module) -> Forward:
            original = block.forward

            def forward(*args: Any, **kwargs: Any) -> Any:
                nonlocal previous
                order.append(index)
                leaves, form = tree_flatten((args, kwargs))
                before = [leaf._version if isinstance(leaf, Tensor) else 0 for leaf in leaves]
                with self.on_device(index), grouping(self.block_map.linears[index]) as groups:
                    output = original(*args, **kwargs)
                hidden: Tensor = output if isinstance(output, Tensor) else output[0]
                extras = None if isinstance(output, Tensor) else len(output) - 1
                slot = hidden_slot(index, leaves, previous, hidden)
                if leaves[slot]._version != before[slot] or hidden is leaves[slot]:
                    raise NotStreamable(f"block {index} writes into its input.")
                leaves[slot] = None
                self._calls.append(Call(leaves=leaves, form=form, slot=slot, extras=extras, groups=groups()))
                previous = hidden
                return output

            return forward

        with other_forwards((block, spy(index, block)) for index, block in enumerate(self.block_map.blocks)):
            ending = ending_of(self._model(input_ids=self._probe, use_cache=False).logits)
        if order != list(range(self.blocks)) or previous is None:
            raise NotStreamable(f"its {self.blocks} blocks ran in the order {order[:12]}.")
        return previous, ending

    def _compare_with_two_windows(self) -> None:
        """Mark the recorded tensors that grow with the batch, by a forward of two windows that runs no block."""
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        windows = torch.cat([self._probe, (self._probe + 1) % vocabulary])
        again: list[list[Any]] = []

        def pass_on(call: Call) -> Forward:
            def forward(*args: Any, **kwargs: Any) -> Any:
                leaves, form = tree_flatten((args, kwargs))
                if form != call.form:
                    raise NotStreamable("a block is called with other arguments for two windows than for one.")
                hidden, leaves[call.slot] = leaves[call.slot], None
                again.append(leaves)
                if len(again) == self.blocks:
                    raise StopForward
                return call.output(hidden)

            return forward

        with (other_forwards((block, pass_on(call)) for block, call in zip(self.block_map.blocks, self._calls, strict=True)),
              suppress(StopForward)):
            self._model(input_ids=windows, use_cache=False)
        seen: dict[tuple[int, int], Any] = {}  # blocks share their masks: each pair is compared once and stays one tensor
        marked: list[Call] = []
        for index, (call, two) in enumerate(zip(self._calls, again, strict=True)):
            leaves: list[Any] = []
            for pair in zip(call.leaves, two, strict=True):
                key = (id(pair[0]), id(pair[1]))
                if key not in seen:
                    seen[key] = marked_for_windows(*pair, f"block {index}")
                leaves.append(seen[key])
            marked.append(replace(call, leaves=leaves))
        self._calls = marked

    def _move_frame(self, device: torch.device) -> None:
        """Everything but the blocks to `device`. Parameter objects stay, so tied weights stay tied."""
        inside = {id(module) for block in self.block_map.blocks for module in block.modules()}
        for module in self._model.modules():
            if id(module) not in inside:
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(device)
                for name, buffer in list(module.named_buffers(recurse=False)):
                    setattr(module, name, buffer.to(device))
