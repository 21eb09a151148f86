"""Findings and exercises about masks and updates."""

from __future__ import annotations

import numpy as np

from app.learn.charts.masks import mask_names, shares
from app.learn.findings.common import TIE, Exercise
from app.shared import numbers
from core.records.lessons import COMPARED, Masks


def masks_finding(found: Masks, chosen: int, row: int, columns: int) -> str:
    """Rank of the mask among all, and the part of its loss due to it. The row is cut where it has more columns than can be tried."""
    name, (floor, mask, update) = mask_names()[chosen], shares(found)[chosen]
    ways = numbers.count(len(found.every))
    first = "" if columns == len(found.weight) else "first "
    start = (f"Row {row}: {found.count} of its {first}{len(found.weight)} weights go, which can be done in {ways} ways. The best loses "
             f"{numbers.share(floor)} of the row's energy.")
    if chosen == len(COMPARED):
        return f"{start} It was found by trying them all, which no layer of a real model allows."
    worst = "mask" if mask >= update else "update"
    place = f"Its mask is number {found.rank[chosen] + 1} of {ways}." if found.rank[chosen] else "Its mask is the best there is."
    parts = f", {numbers.share(mask)} more by its mask and {numbers.share(update)} by its update: the {worst} costs more"
    more = "" if mask + update < 1e-9 else parts
    return f"{start} {name} loses {numbers.share(floor + mask + update)}{more}. {place}"


def masks_exercises(found: Masks) -> list[Exercise]:
    names, parts = mask_names(), shares(found)
    own = parts[:-1].sum(1)
    by_mask, by_update = parts[:-1, 1], parts[:-1, 2]
    none, middle = found.repaired[:, 0] / found.energy, float(np.median(found.every))
    still = none[-1] <= none.min() * (1 + TIE)
    return [
        ("Which method loses most by its mask, and which most by its update?",
         f"By its mask {_leaders(names, -by_mask)}: {numbers.share(by_mask.max())} of the energy above the best of all. By its update "
         f"{_leaders(names, -by_update)}: {numbers.share(by_update.max())} above the best for its mask. In all {_leaders(names, own)} "
         f"{'lose' if _several(own) else 'loses'} least, {numbers.share(own.min())}."),
        ("If no weight may move, is the best mask still the best?",
         f"{'Of these, yes' if still else 'No'}: without update the best of all masks loses {numbers.share(none[-1])}, "
         + ("and none of the others less." if still else f"that of {_leaders(names, none)} {numbers.share(none.min())}.")
         + " A mask is good for an update, not by itself."),
        ("How bad is a mask drawn by lot?",
         f"The median of all {numbers.count(len(found.every))} masks loses {numbers.share(middle / found.energy)} even with the best "
         f"update: {numbers.times(middle / float(found.every[0]))} the best mask."),
    ]


def _leaders(names: list[str], losses: np.ndarray) -> str:
    """Those of least loss: more than one where they are equal."""
    best = [name for name, first in zip(names, _first(losses), strict=False) if first]
    return best[0] if len(best) == 1 else f"{', '.join(best[:-1])} and {best[-1]}"


def _first(losses: np.ndarray) -> np.ndarray:
    """bool [n]: the least, and those equal to it."""
    return losses <= losses.min() + TIE * abs(losses.min())


def _several(losses: np.ndarray) -> bool:
    return int(_first(losses).sum()) > 1
