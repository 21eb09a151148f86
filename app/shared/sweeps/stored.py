"""Points of the finished runs in the store, and of the shipped ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from app.shared import resources
from app.shared.shipped import POINTS
from app.shared.sweeps.points import Point, ground, matching, points_of, read_points, worth_of
from core.records import Revisions
from core.run.revisions import revisions
from core.spec import Evaluation, RunSpec
from core.spec.errors import PruneError

_ALL = 1_000_000


def points_like(base: RunSpec) -> tuple[Point, ...]:
    """Every point with the model, texts, windows and arithmetic of a run."""
    usual = RunSpec()
    plain = base.model_copy(update={"update": usual.update, "refit": usual.refit})
    return matching(candidates(plain), plain, revisions_today(plain)[0]).points


def revisions_today(base: RunSpec) -> tuple[Revisions | None, str | None]:
    """Revisions of model, texts and code as they are now, or why there are none."""
    try:
        return revisions(base), None
    except PruneError as error:
        return None, str(error)


def candidates(*bases: RunSpec) -> list[Point]:
    """Points of these grounds, the store's first. Results are read once; a list of hundreds of runs costs their records only."""
    store, same = resources.store(), set(map(ground, bases))
    stored = [point for record in store.runs(limit=_ALL, states=("finished",)) if same.intersection(map(ground, record.spec.on_each_text))
              for point in _stored(str(store.home), record.key, record.ended)]
    return [*stored, *_shipped(str(resources.GALLERY), str(POINTS))]


def measured_texts(base: RunSpec) -> tuple[Evaluation, ...]:
    """The evaluation texts, each with its settings, of the runs that are like this one in all but these."""
    def textless(spec: RunSpec) -> RunSpec:
        return ground(spec).model_copy(update={"evaluation": base.evaluation})

    same = textless(base)
    runs = resources.store().runs(limit=_ALL, states=("finished",))
    shipped = dict.fromkeys(point.spec for point in _shipped(str(resources.GALLERY), str(POINTS)))
    found = [text.evaluation for spec in (*(record.spec for record in runs), *shipped) for text in spec.on_each_text
             if textless(text) == same]
    return tuple(dict.fromkeys(found))


def with_measurements(points: Sequence[Point]) -> tuple[Point, ...]:
    """The same points with the size and speed of their runs, where these were measured since."""
    kept = resources.store().measurements
    found = {point.key: kept.of_run(point.key) for point in points if point.key}
    return tuple(point if (measured := found.get(point.key)) is None else
                 point.model_copy(update={"worth": worth_of(measured.size, measured.speed) or point.worth}) for point in points)


@lru_cache(maxsize=8192)
def _stored(home: str, key: str, ended: float | None) -> tuple[Point, ...]:
    """`home` and `ended` tell apart what a key alone does not: another store, a run computed again."""
    result = resources.store().result(key)
    return points_of(result, key) if result is not None else ()


@lru_cache(maxsize=2)
def _shipped(gallery: str, points: str) -> tuple[Point, ...]:
    """Read once; the names of the folder and of the file tell one house from another."""
    results = resources.read_gallery(gallery).values()
    return (*(point for result in results for point in points_of(result)), *read_points(Path(points)))
