"""Records of input-guided skipping: perplexity against blocks run per token, chosen for all texts or per input. No torch."""

from __future__ import annotations

import math

from core.records.revisions import Revisions
from core.records.runs import Environment, Evaluated
from core.spec import RunSpec
from core.spec.base import FrozenModel
from core.spec.guide import Guide


class GuidedPoint(FrozenModel):
    """As many blocks skipped for every text alike (`fixed`), and chosen by each window's cluster (`guided`)."""

    skipped: int
    fixed_blocks: tuple[int, ...]  # in the order in which they were chosen
    fixed: Evaluated
    cluster_blocks: tuple[tuple[int, ...], ...]  # the same by cluster
    guided: Evaluated
    blocks_run: float  # by a token of the evaluation text, as counted in the guided pass

    @property
    def equal(self) -> bool:
        """True where every evaluation window skips the fixed blocks."""
        return self.fixed == self.guided

    @property
    def differing(self) -> int:
        """Number of clusters that skip other blocks than the fixed ones."""
        return sum(set(blocks) != set(self.fixed_blocks) for blocks in self.cluster_blocks)


class InputGuided(FrozenModel):
    """An evaluation of input-guided skipping. All settings come from calibration windows; all perplexities are of evaluation windows."""

    spec: RunSpec
    guide: Guide
    revisions: Revisions
    blocks: int  # of the dense model
    dense: Evaluated
    points: tuple[GuidedPoint, ...]  # by the number of skipped blocks, ascending from 1
    calibration_windows: tuple[int, ...]  # number of each cluster
    evaluation_clusters: tuple[int, ...]  # cluster of each evaluation window
    calibration: str  # which windows, in words
    seconds: float
    environment: Environment

    @property
    def evaluation_windows(self) -> tuple[int, ...]:
        """Number of evaluation windows of each cluster."""
        return tuple(self.evaluation_clusters.count(cluster) for cluster in range(len(self.calibration_windows)))

    @property
    def lookahead(self) -> float:
        """Most nats a token that the choice can owe to tokens that are predicted after it: ln k over the predicted tokens of a window.

        A mixture of the k smaller models, which looks at nothing ahead, loses no more than ln k a window to the best of them.
        """
        return math.log(len(self.calibration_windows)) / (self.dense.length - 1)
