"""Points of the finished runs in the store, and of the shipped ones."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from app.shared import resources
from app.shared.shipped import POINTS
from app.shared.sweeps.points import Point, ground, matching, point_of, read_points
from core.records import Revisions
from core.run.revisions import revisions
from core.spec import RunSpec
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


def candidates(base: RunSpec) -> list[Point]:
    """Points of this ground, the store's first. Results are read once; a list of hundreds of runs costs their records only."""
    store, same = resources.store(), ground(base)
    finished = store.runs(limit=_ALL, states=("finished",))
    stored = [_stored(str(store.home), record.key, record.ended) for record in finished if ground(record.spec) == same]
    return [*(point for point in stored if point is not None), *_shipped(str(resources.GALLERY), str(POINTS))]


@lru_cache(maxsize=8192)
def _stored(home: str, key: str, ended: float | None) -> Point | None:
    """`home` and `ended` tell apart what a key alone does not: another store, a run computed again."""
    result = resources.store().result(key)
    return point_of(result, key) if result is not None else None


@lru_cache(maxsize=2)
def _shipped(gallery: str, points: str) -> tuple[Point, ...]:
    """Read once; the names of the folder and of the file tell one house from another."""
    return (*map(point_of, resources.read_gallery(gallery).values()), *read_points(Path(points)))
