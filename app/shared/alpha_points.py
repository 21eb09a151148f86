"""Points over α of a page: asked for a few at a time, first on a preview's windows, then on more while their sign is not settled."""

from __future__ import annotations

from statistics import fmean

from app.shared import alpha_sweep, answers, state
from app.shared.alpha_sweep import SEEDS
from app.shared.answers import Gathered
from core.spec import RunSpec

LAYER, MODEL = "layer-points", "model-points"
_PATIENCE = 300.0  # seconds of work that are begun without being asked for
_FIRST = 2  # points that are always computed: α = 0, and the α asked for


def gather(spec: RunSpec, layer: str) -> tuple[Gathered, Gathered]:
    """The layer's points, then, once these are there, the model's."""
    of_layer = answers.gather(alpha_sweep.layer_questions(spec, layer), LAYER, at_once=24, wait=answers.WAIT)
    return of_layer, model_points(spec) if not of_layer.waiting else Gathered(answers=(), problems=(), waiting=0)


def model_points(spec: RunSpec) -> Gathered:
    """The points on a preview's windows, then on more as long as the sign of the effect is not settled; the last that are complete."""
    found = _points(spec, alpha_sweep.WINDOWS[0])
    for windows in alpha_sweep.WINDOWS[1:]:
        readings = alpha_sweep.model_readings(spec, found.answers)
        used = max((point.pruned.windows for _, point in found.answers), default=0)
        if found.waiting or count(spec) > len(found.answers) or used >= windows:
            break
        if alpha_sweep.settled(readings, spec.pattern.outlier_rows):
            break
        finer = _points(spec, windows)
        if finer.waiting or len(finer.answers) < len(found.answers):
            return Gathered(answers=found.answers, problems=(*found.problems, *finer.problems), waiting=finer.waiting)
        if finer.answers[0][1].pruned.windows == used:  # the text has no more
            break
        found = finer
    return found


def count(spec: RunSpec) -> int:
    """Number of points of the model."""
    return len(alpha_sweep.model_questions(spec, seeds(spec)))


def _points(spec: RunSpec, windows: int | None) -> Gathered:
    """Only the first points, until it is known that all are soon done, or somebody wants them."""
    questions = alpha_sweep.model_questions(spec, seeds(spec), windows)
    found = answers.gather(questions[:_FIRST], MODEL)
    if found.waiting or (not _wanted(spec) and seconds_left(found, len(questions)) > _PATIENCE):
        return found
    return answers.gather(questions, MODEL)


def waiting(of_layer: Gathered, of_model: Gathered) -> bool:
    """True while a point is to come."""
    return bool(of_layer.waiting or of_model.waiting)


def seconds_left(found: Gathered, questions: int) -> float:
    """Seconds until all are there, by those that are; 0 while nothing is known."""
    times = [point.seconds for _, point in found.answers]
    return fmean(times) * (questions - len(times) - len(found.problems)) if times else 0.0


def seeds(spec: RunSpec) -> tuple[int, ...]:
    """Calibration seeds of the points: the spec's, or several where a person asked for them."""
    first = spec.calibration.seed
    return tuple(range(first, first + SEEDS)) if state.recall("alpha_seeds", None) == sweep_of(spec) else (first,)


def _wanted(spec: RunSpec) -> bool:
    return sweep_of(spec) in (state.recall("alpha_wanted", None), state.recall("alpha_seeds", None))


def sweep_of(spec: RunSpec) -> RunSpec:
    """The sweep that a spec belongs to: α moves along it."""
    return alpha_sweep.at(spec, 0.0)
