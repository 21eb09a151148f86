"""Choice of the decoder blocks that go, by the score that a method declares (`kernel`, core/spec/methods/structures.py).

A kernel is a module with

    score(stream, tokens, left, count, room) -> Generator[int, None, dict[int, float]]

It yields each block before its turn and returns the cost of every candidate: of the block alone, or where the method is `contiguous` of the
`count` blocks of `left` that begin there. The least go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module

from torch import Tensor

from core.models.activations import ActivationRoom
from core.models.blocks import BlockMap
from core.models.open_model import OpenModel
from core.models.streaming import Stream
from core.records import ScoredRound
from core.spec.errors import BadInput
from core.spec.methods import StructureScore
from core.spec.methods.structures import SAMPLE_TOKENS

Score = Callable[[Stream, Tensor, Sequence[int], int, ActivationRoom], Generator[int, None, dict[int, float]]]
Keep = Callable[[int, ScoredRound], None]  # (number of a round, the round)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Blocks in the order in which they go, and the first scores of all candidates by block."""

    removed: tuple[int, ...]
    scores: Mapping[int, float]
    tokens: int


def read_tokens(method: StructureScore, tokens: Tensor) -> Tensor:
    """The calibration windows [n, L] that a method reads: all, or the first ones up to SAMPLE_TOKENS."""
    return tokens[: max(1, SAMPLE_TOKENS // tokens.shape[1])] if method.sampled else tokens


def rounds_of(method: StructureScore, count: int) -> int:
    """Rounds of scoring in which `count` blocks are chosen."""
    return max(1, count) if method.one_at_a_time else 1


def choose_blocks(opened: OpenModel, block_map: BlockMap, method: StructureScore, count: int, stay: Collection[int], *,
                  windows: Tensor | None = None, known: Sequence[ScoredRound] = (),
                  keep: Keep = lambda number, done: None) -> Generator[int, None, Choice]:
    """Yields each block before its turn. `stay`: blocks that must not go. `windows` int64 [n, L]: those that are scored, by default the
    calibration text's. `known`: rounds that were finished before; `keep` is given each further one. Raises BadInput where the blocks that
    stay leave no room for `count`."""
    score: Score = import_module(method.kernel).score
    tokens = read_tokens(method, opened.calibration.tokens if windows is None else windows)
    left, rounds = list(range(len(block_map.blocks))), list(known)
    each = 1 if method.one_at_a_time else max(1, count)
    with ExitStack() as stack:
        if len(rounds) < rounds_of(method, count):
            stream = stack.enter_context(Stream(opened.model, block_map, opened.device, tokens[:1]))
            for done in rounds:
                left = [block for block in left if block not in done.removed]
            while len(rounds) < rounds_of(method, count):
                scores = yield from score(stream, tokens, left, each, opened.room)
                gone = least(scores, left, min(each, count), stay, contiguous=method.contiguous)
                rounds.append(ScoredRound(scores=scores, removed=tuple(gone)))
                keep(len(rounds) - 1, rounds[-1])
                left = [block for block in left if block not in gone]
    return Choice(removed=tuple(block for done in rounds for block in done.removed), scores=rounds[0].scores, tokens=tokens.numel())


def least(scores: Mapping[int, float], left: Sequence[int], count: int, stay: Collection[int], *, contiguous: bool) -> list[int]:
    """The `count` blocks of least score, the earlier of equal ones first; consecutive ones by the score of the first.

    Raises BadInput where the blocks that stay leave no room.
    """
    if count == 0:
        return []
    if contiguous:
        runs = [left[place:place + count] for place in range(len(left) - count + 1)]
        runs = [run for run in runs if not set(run) & set(stay)]
        found = list(min(runs, key=lambda run: scores[run[0]], default=[*left[:0]]))
    else:
        found = sorted((block for block in left if block not in stay), key=lambda block: scores[block])[:count]
    if len(found) < count:
        kept = ", ".join(map(str, sorted(stay)))
        what = f"{count} {'consecutive ' if contiguous else ''}blocks"
        raise BadInput("skip", what, f"as many as blocks {kept} leave room for, which stay",
                       "Let fewer blocks go, or skip fewer of them.")
    return found
