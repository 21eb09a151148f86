"""Run a model's decoder blocks one at a time, with everything around them left to the model itself.

    stream = Stream(model, map_blocks(model), device, probe)      # one real forward of the probe window, recorded
    hidden = stream.embed(tokens)                                 # the model's own forward, stopped at the first block
    for block in range(stream.blocks):
        with stream.on_device(block):
            stream.observe(block, hidden, collect)                # the inputs of each group of linear layers
            hidden = stream.forward(block, hidden)
    stream.logits(hidden)                                         # the model's own forward, its blocks short-circuited

What the blocks are called with besides the hidden states (masks, positions) is recorded from the probe (core/models/recording.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from transformers import PreTrainedModel

from core.linalg.products import FastLayers
from core.models.blocks import BlockMap, NotStreamable, named
from core.models.causality import require_causal_embedding
from core.models.expert_inputs import use_slices, watched_experts
from core.models.forward_trace import Call, Groups, PerWindow, ending_of
from core.models.hooks import Forward, other_forwards, watched_inputs
from core.models.recording import StopForward, record

Observer = Callable[[int, Tensor], None]


class Stream:
    """A model opened for block-by-block running. On the CPU nothing moves; elsewhere one block at a time does.

    `probe` [1, L] integer: all later windows must have its length L. Embeddings, final norm and head live on `device` until
    `close` (or the end of a `with`; of several streams of a model the last opened closes first). Hidden states are [n, L, d] in the
    model's dtype; they may come from any device and are returned on `device`. No gradients but where a name says so.
    Raises NotStreamable where block by block would differ from the model, NotCausal where a later token changes an earlier one.
    """

    @torch.no_grad()
    def __init__(self, model: PreTrainedModel, block_map: BlockMap, device: torch.device | str, probe: Tensor, *,
                 all_tokens: bool = False) -> None:
        assert probe.ndim == 2, "the probe is one window [1, L]"
        assert probe.shape[0] == 1, "the probe is one window [1, L]"
        self.block_map, self.device = block_map, torch.empty(0, device=device).device
        self.blocks, self.length = len(block_map.blocks), probe.shape[1]
        self._model: Any = model
        self._all_tokens = all_tokens
        use_slices(model)
        self._probe = probe.to(self.device, torch.int64)
        self._home = next((parameter.device for parameter in self._frame()), self.device)
        self._move_frame(self.device)
        try:
            self._calls, last, ending = record(model, block_map, self._probe, self.on_device)
            tolerance = max(1e-3, 4 * torch.finfo(ending.dtype).eps) * float(ending.nan_to_num(0, 0, 0).abs().amax())
            if not torch.allclose(ending_of(self.logits(last)), ending, rtol=0, atol=tolerance, equal_nan=True):
                raise NotStreamable("its output depends on more than what the last block returns.")
            require_causal_embedding(self.embed, self._probe)
        except NotStreamable as error:
            self.close()
            raise NotStreamable(error.problem, named(model)) from error
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
        An expert sees the tokens that the router sent to it (with `all_tokens` all of them), and with experts nothing ends early.
        """
        groups = self.groups(block)
        experts = {group[0].name: index for index, group in enumerate(groups) if group[0].expert is not None}
        last = None if experts else last

        def watch(group: int) -> Callable[[Tensor], None]:
            def seen(tensor: Tensor) -> None:
                observer(group, tensor.flatten(0, -2))
                if group == last:
                    raise StopForward

            return seen

        plain = ((group[0].layer, watch(index)) for index, group in enumerate(groups) if group[0].expert is None)
        routed = watched_experts([group[0] for group in groups], lambda linear, inputs: observer(experts[linear.name], inputs),
                                 all_tokens=self._all_tokens)
        with self.on_device(block), watched_inputs(plain), suppress(StopForward), routed:
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
        if self.block_map.reader is not None:
            with self.block_map.reader.lend(block, self.device):
                yield
            return
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

    def _move_frame(self, device: torch.device) -> None:
        """Everything but the blocks to `device`. Parameter objects stay, so tied weights stay tied."""
        for module in self._outside():
            for name, buffer in list(module.named_buffers(recurse=False)):
                setattr(module, name, buffer.to(device))
        for parameter in self._frame():
            parameter.data = parameter.data.to(device)

    def _frame(self) -> Iterator[Tensor]:
        """The parameters outside the blocks."""
        return (parameter for module in self._outside() for parameter in module.parameters(recurse=False))

    def _outside(self) -> Iterator[nn.Module]:
        inside = {id(module) for block in self.block_map.blocks for module in block.modules()}
        return (module for module in self._model.modules() if id(module) not in inside)
