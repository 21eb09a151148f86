"""Speed of a dense and a pruned model on this device: prefill and decode, measured in turn, round by round, in one process.

    round k, batch n:  dense, pruned (and packed), in an order that turns with k     ─►  paired ratios, so that drift cancels
    prefill            one forward over n prompts of L tokens, its keys and values kept
    decode             T forwards of one token a sequence, the likeliest token each time; none ends early
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.evaluate.semi_structured import Packed, first_line, pack, packed
from core.linalg.cancellation import check_cancelled
from core.linalg.clock import now
from core.models.blocks import Linear, map_blocks
from core.models.device import device_name
from core.records.size_speed import Kind, Speed, SpeedPoint
from core.spec.errors import BadInput

Report = Callable[[str, float], None]
Context = Callable[[], AbstractContextManager[Any]]  # the model computes with other weights inside, or another model is given
_LEAST, _MOST = 3, 9  # rounds of a batch size
_MOST_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Work that is timed. `seconds`: after that long a batch size gets no more rounds, once it has 3; 9 are the most."""

    batches: tuple[int, ...] = (1, 4, 16)
    prompt: int = 128
    tokens: int = 32
    seconds: float = 60.0

    def check(self, context: int) -> None:
        """Raises BadInput for what cannot be timed, and for sequences longer than the model's context."""
        if not self.batches or not all(0 < batch <= _MOST_BATCH for batch in self.batches):
            raise BadInput("batch_sizes", ",".join(map(str, self.batches)), f"1 to {_MOST_BATCH}, with commas", "Name at least one.")
        if self.prompt < 1 or self.tokens < 1 or self.prompt + self.tokens > context:
            raise BadInput("prompt_tokens", f"{self.prompt} and {self.tokens} new ones",
                           f"at least 1 of each, and together at most the model's context of {context}", "Ask for fewer.")


def fitting(workload: Workload, context: int) -> Workload:
    """The usual workload, shortened to a small context."""
    tokens = min(workload.tokens, max(1, context // 4))
    return Workload(batches=workload.batches, prompt=min(workload.prompt, context - tokens), tokens=tokens, seconds=workload.seconds)


@torch.inference_mode()
def measure_model(model: Any, weights: Mapping[str, Tensor] | None, workload: Workload, device: torch.device,
                  report: Report = lambda words, share: None, *, smaller: Any = None) -> Speed:
    """Throughput of a model in memory, and with `weights` [out, in] by layer name of the pruned one beside it, in the same memory; or with
    `smaller` of a pruned model of its own, whose shapes have shrunk.

    Raises Cancelled where nobody waits any more (core/linalg/cancellation.py).
    """
    dtype = next(model.parameters()).dtype
    contexts: dict[Kind, Context] = {"dense": nullcontext}
    reason = ""
    if smaller is not None:
        contexts["pruned"] = lambda: nullcontext(smaller)
        reason = "Its tensors are smaller, and have no zeros for such kernels to leave out."
    elif weights is not None:
        linears = [linear for block in map_blocks(model).linears for linear in block if linear.name in weights]
        placed = [(linear, _placed(linear, weights[linear.name], dtype, device)) for linear in linears]
        contexts["pruned"] = lambda: _all_replaced(placed)
        tensors, reason = pack(placed, device)
        reason = reason or _refusal(model, tensors, device)
        if not reason:
            contexts["packed"] = lambda: packed(tensors)
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    points: list[SpeedPoint] = []
    for place, batch in enumerate(workload.batches):
        words = f"Batch of {batch}"
        points.append(_point(model, contexts, batch, workload, vocabulary, device,
                             lambda share, place=place, words=words: report(words, (place + share) / len(workload.batches))))
    return Speed(device=device_name(device), dtype=str(dtype).removeprefix("torch."), torch=str(torch.__version__), prompt=workload.prompt,
                 tokens=workload.tokens, points=tuple(points), no_packed=reason)


def _point(model: Any, contexts: Mapping[Kind, Context], batch: int, workload: Workload, vocabulary: int, device: torch.device,
           report: Callable[[float], None]) -> SpeedPoint:
    tokens = torch.randint(vocabulary, (batch, workload.prompt), generator=torch.Generator().manual_seed(0)).to(device)
    prefill: dict[Kind, list[float]] = {kind: [] for kind in contexts}
    decode: dict[Kind, list[float]] = {kind: [] for kind in contexts}
    started = time.perf_counter()
    for number in range(_MOST + 1):
        for kind in _turned(tuple(contexts), number):
            check_cancelled()
            with contexts[kind]() as other:
                before, after = _run(model if other is None else other, tokens, workload.tokens if number else 1, device)
            if number:  # the first round warms caches and compiles what is compiled; it is not counted
                prefill[kind].append(before)
                decode[kind].append(after)
        if number == 0:
            started = time.perf_counter()
        report(number / _MOST)
        if number >= _LEAST and time.perf_counter() > started + workload.seconds:
            break
    return SpeedPoint(batch=batch, prefill={kind: tuple(values) for kind, values in prefill.items()},
                      decode={kind: tuple(values) for kind, values in decode.items()})


def _run(model: Any, tokens: Tensor, new: int, device: torch.device) -> tuple[float, float]:
    """Seconds of the prefill of tokens [n, L], and of `new` tokens more for each sequence."""
    last = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    start = now(device)
    out = model(input_ids=tokens, use_cache=True, **last)
    following = out.logits[:, -1].argmax(-1, keepdim=True)
    middle = now(device)
    for _ in range(new):
        out = model(input_ids=following, past_key_values=out.past_key_values, use_cache=True)
        following = out.logits[:, -1].argmax(-1, keepdim=True)
    return middle - start, now(device) - middle


def _refusal(model: Any, tensors: Packed, device: torch.device) -> str:
    """Reason why the model does not run with 2:4 tensors; empty where it does."""
    try:
        with packed(tensors):
            _run(model, torch.ones(1, 2, dtype=torch.int64, device=device), 1, device)
    except torch.OutOfMemoryError:
        raise  # no refusal of the kernels: told as want of memory
    except (RuntimeError, NotImplementedError) as error:
        return f"PyTorch's 2:4 kernels do not run this model here: {first_line(error)}"
    return ""


def _turned(kinds: Sequence[Kind], number: int) -> Iterator[Kind]:
    """The models in another order each round."""
    shift = number % len(kinds)
    yield from (*kinds[shift:], *kinds[:shift])


def _placed(linear: Linear, weight: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A pruned weight [out, in] laid out in memory as the layer's own is, so that zeros are the only difference."""
    moved = weight.to(device=device, dtype=dtype)
    return moved.t().contiguous().t() if linear.transposed else moved.contiguous()


@contextmanager
def _all_replaced(placed: Sequence[tuple[Linear, Tensor]]) -> Generator[None]:
    with ExitStack() as stack:
        for linear, weight in placed:
            stack.enter_context(linear.replaced(weight))
        yield
