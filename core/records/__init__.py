"""Records: runs, plans, events, previews, outlier rows, mask overlap. Frozen, JSON both ways. No torch."""

from core.records.convergence import DESCENTS, Convergence, DescentName, Trace
from core.records.events import EVENT, BlockFinished, Event, Finished, LayerPruned, Progress, Started
from core.records.plans import Placement, Plan, PlannedLayer, PlannedShape, SeenRate
from core.records.revisions import Revisions
from core.records.runs import BlockReconstruction, Environment, Evaluated, ExportCheck, LayerRecord, RunResult, TextResult
from core.records.shapes import RemovedShape, ScoredRound
from core.records.size_speed import Interval, LayerCount, Sizes, Speed, SpeedPoint
from core.records.tasks import Score, TaskScores

__all__ = [
    "DESCENTS", "EVENT", "BlockFinished", "BlockReconstruction", "Convergence", "DescentName", "Environment", "Evaluated", "Event",
    "ExportCheck", "Finished", "Interval", "LayerCount", "LayerPruned", "LayerRecord", "Placement", "Plan", "PlannedLayer", "PlannedShape",
    "Progress",
    "RemovedShape", "Revisions", "RunResult", "Score", "ScoredRound", "SeenRate", "Sizes", "Speed", "SpeedPoint", "Started", "TaskScores",
    "TextResult", "Trace",
]
