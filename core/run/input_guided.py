"""Input-guided skipping as an evaluation (after Qiao et al. 2025, IG-Pruning, arXiv 2511.02213; docs/methods/shapes.md).

    calibration windows ─► mean embeddings ─► k clusters ─► for each the blocks of least score on its own windows
    evaluation windows  ─► the nearest centroid says which blocks each of them skips
    beside it           ─► the blocks of least score on all calibration windows, skipped for every text

No weight changes and nothing is saved: no configuration says that a model's depth depends on its input.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.evaluate.perplexity import evaluated
from core.linalg.cancellation import check_cancelled
from core.models.device import choose_device
from core.models.inputs import require_same
from core.models.open_model import OpenModel, batches, embed, open_model
from core.models.placement import Streaming
from core.models.streaming import Stream
from core.records import Evaluated, Revisions
from core.records.guided import GuidedPoint, InputGuided
from core.run.evaluation import losses_of, require_finite
from core.run.guided_work import GuidedMeter, Report
from core.run.layer_choice import staying
from core.run.progress import Meter
from core.run.results import environment_of
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import LESS_MEMORY, BadInput, memory_told
from core.spec.guide import Guide
from core.spec.methods import StructureScore
from core.spec.patterns import Blocks
from core.structures.choice import choose_blocks, read_tokens, rounds_of
from core.structures.clusters import k_means, nearest

Masks = tuple[tuple[int, ...], ...]  # blocks that go, by their number from 1 on


def input_guided(spec: RunSpec, guide: Guide | None = None, *, report: Report = lambda words, share: None,
                 expected: Revisions | None = None, streaming: Streaming | None = None, limit: int | None = None) -> InputGuided:
    """Perplexity with 1 to N blocks skipped, N by the spec's pattern and chosen by its method, fixed and per input.

    On the first evaluation text. `expected`, `streaming` and `limit` as for core.run.pipeline.prune. Raises BadInput for another pattern
    than blocks, for more clusters than calibration windows, and as a run of the spec; InputChanged; Cancelled.
    """
    guide, spec = guide or Guide(), spec.on_each_text[0]
    guide.check(spec.pattern)
    device = choose_device(spec.device)
    meter = Meter(device)
    with memory_told("skipping blocks", LESS_MEMORY):
        report("Loading the model", 0.0)
        opened = open_model(spec, device, streaming, limit)
        if expected is not None:
            require_same(expected.addresses, opened.inputs.addresses, spec)
        return _Guided(spec, guide, opened, meter, report).result()


class _Guided:
    """One evaluation on an open model."""

    def __init__(self, spec: RunSpec, guide: Guide, opened: OpenModel, meter: Meter, report: Report) -> None:
        assert isinstance(spec.pattern, Blocks), "refused by the guide"
        assert isinstance(spec.method, StructureScore), "refused by the spec"
        self.spec, self.guide, self.opened, self.meter, self.method = spec, guide, opened, meter, spec.method
        self.calibration, self.evaluation = opened.calibration.tokens, opened.evaluation.tokens
        guide.check_windows(len(self.calibration), self.calibration.shape[1], self.evaluation.shape[1])
        self.blocks = len(opened.block_map.blocks)
        self.stay = staying(opened.block_map, spec)
        self.count = spec.pattern.number(self.blocks, len(self.stay))
        if not self.count:
            raise BadInput("pattern", spec.pattern.word, f"a share that is at least one of the {self.blocks} blocks", "Let more go.")
        self.work = GuidedMeter(report)

    def result(self) -> InputGuided:
        centroids = k_means(self._means(self.calibration), self.guide.clusters, self.spec.calibration.seed)
        groups = [self.calibration[nearest(self._means(self.calibration), centroids) == cluster] for cluster in range(len(centroids))]
        clusters = nearest(self._means(self.evaluation), centroids).tolist()
        scoring = self._scoring(self.calibration) + sum(map(self._scoring, groups))
        self.work.expect(scoring + self._passing() * (2 * self.count + 1))
        fixed = self._masks(self.calibration, "all calibration windows")
        guided = [self._masks(group, f"cluster {number} of {len(groups)}") for number, group in enumerate(groups, 1)]
        every = [_Variant(masks=((),) * len(clusters))]
        for skipped in range(self.count):
            every.append(_Variant(masks=(fixed[skipped],) * len(clusters)))
            every.append(_Variant(masks=tuple(guided[cluster][skipped] for cluster in clusters)))
        self.work.expect(scoring + self._passing() * len(set(every)))  # fewer where clusters choose the same blocks
        dense, *found = self._evaluate(every)
        self.opened.inputs.check()
        points = [GuidedPoint(skipped=place + 1, fixed_blocks=fixed[place], fixed=found[2 * place][0],
                              cluster_blocks=tuple(masks[place] for masks in guided), guided=found[2 * place + 1][0],
                              blocks_run=found[2 * place + 1][1]) for place in range(self.count)]
        return InputGuided(spec=self.spec, guide=self.guide, revisions=revisions(self.spec, self.opened.inputs), blocks=self.blocks,
                           dense=dense[0], points=tuple(points), calibration_windows=tuple(map(len, groups)),
                           evaluation_clusters=tuple(clusters), calibration=self.opened.calibration.description,
                           seconds=self.meter.seconds, environment=environment_of(self.opened, self.meter))

    def _means(self, tokens: Tensor) -> Tensor:
        """Mean embedding [n, d], float64, of the tokens of each window [n, L] that decide."""
        with Stream(self.opened.model, self.opened.block_map, self.opened.device, tokens[:1]) as stream:
            return window_means(stream, tokens, self.guide.decide_on)

    def _masks(self, windows: Tensor, whose: str) -> Masks:
        """Blocks that go by their scores on some calibration windows [n, L], for each number from 1 to the most."""
        each = range(1, self.count + 1) if self.method.contiguous else (self.count,)
        found = [self._chosen(windows, count, whose) for count in each]
        return tuple(found) if self.method.contiguous else tuple(found[0][:count] for count in range(1, self.count + 1))

    def _chosen(self, windows: Tensor, count: int, whose: str) -> tuple[int, ...]:
        turns = choose_blocks(self.opened, self.opened.block_map, self.method, count, self.stay, windows=windows)
        while True:
            try:
                next(turns)
            except StopIteration as end:
                return end.value.removed
            check_cancelled()
            self.work.advance(self._scoring(windows) / self.blocks / self._choices(count), f"Scoring blocks on {whose}")

    def _choices(self, count: int) -> int:
        """Times that each block is scored on some windows."""
        return self.count if self.method.contiguous else rounds_of(self.method, count)

    def _scoring(self, windows: Tensor) -> float:
        """Work of the scores on some windows, in blocks passed by a token."""
        return read_tokens(self.method, windows).numel() * self.method.passes(self.blocks) * self.blocks * self._choices(self.count)

    def _passing(self) -> float:
        return float(self.evaluation.numel() * self.blocks)

    def _evaluate(self, variants: Sequence[_Variant]) -> list[tuple[Evaluated, float]]:
        """Perplexity and blocks run by a token, of each. Equal ones are computed once; of blocks in their files all share one reading."""
        unique = list(dict.fromkeys(variants))
        found: dict[_Variant, tuple[Evaluated, float]] = {}
        at_once = len(unique) if self.opened.block_map.reader is not None else 1
        with Stream(self.opened.model, self.opened.block_map, self.opened.device, self.evaluation[:1]) as stream:
            for start in range(0, len(unique), at_once):
                some = unique[start:start + at_once]
                for variant, (hidden, run) in zip(some, self._passed(stream, some), strict=True):
                    measured = evaluated(losses_of(stream, hidden, self.evaluation), self.opened.evaluation, self.opened.model.dtype,
                                         model="the model with blocks skipped")
                    found[variant] = measured, run / len(self.evaluation)
        return [found[variant] for variant in variants]

    def _passed(self, stream: Stream, variants: Sequence[_Variant]) -> list[tuple[Tensor, int]]:
        """Hidden states [n, L, d] behind the last block, and how often a window ran a block."""
        states = [(embed(stream, self.evaluation, self.opened.room), variant) for variant in variants]
        runs = [0] * len(states)
        for block in range(self.blocks):
            with stream.on_device(block):
                for place, (hidden, variant) in enumerate(states):
                    runs[place] += run_block(stream, block, hidden, variant.masks)
                    self.work.advance(self._passing() / self.blocks, "Measuring perplexity")
        for hidden, _ in states:
            require_finite(hidden, "The last block, of the model with blocks skipped")
        return [(hidden, count) for (hidden, _), count in zip(states, runs, strict=True)]


@dataclass(frozen=True)
class _Variant:
    """Blocks that each evaluation window skips."""

    masks: tuple[tuple[int, ...], ...]


@torch.no_grad()
def window_means(stream: Stream, tokens: Tensor, decide_on: int) -> Tensor:
    """Mean embedding [n, d], float64 on the CPU, of the first `decide_on` tokens of each window [n, L], or of all (0)."""
    return torch.cat([stream.embed(part)[:, :decide_on or None].double().mean(1).cpu() for part in batches(tokens)])


@torch.no_grad()
def run_block(stream: Stream, block: int, hidden: Tensor, masks: Sequence[Sequence[int]]) -> int:
    """Bring hidden states [n, L, d] through a block, in place, but for the windows whose mask has it; returns how many ran it.

    Batches are those of a dense pass: where all windows of one run the block, its bits are those of the dense model.
    """
    start = count = 0
    for batch in batches(hidden):
        check_cancelled()
        rows = [row for row in range(len(batch)) if block not in masks[start + row]]
        if len(rows) == len(batch):
            batch.copy_(stream.forward(block, batch))
        elif rows:
            batch[rows] = stream.forward(block, batch[rows]).to(batch.device)
        start, count = start + len(batch), count + len(rows)
    return count
