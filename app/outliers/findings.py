"""Findings on outlier rows. Pure functions of records; the sign of every claim is computed."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared import numbers
from core.records.outlier_rows import EnergyShare, LayerRows


def layer_name(block: int, module: str) -> str:
    """`block 3, q_proj`."""
    return f"block {block}, {module.rpartition('.')[2]}"


def map_finding(shares: Sequence[EnergyShare], alpha: float) -> str:
    """Over all layers: where the energy is gathered most, and least."""
    most, least = (choose(shares, key=lambda item: item.share) for choose in (max, min))
    return (f"The strongest {share_word(alpha)} of the rows hold from {numbers.percent(least.share)} of a layer's energy "
            f"({layer_name(least.block, least.module)}) to {numbers.percent(most.share)} ({layer_name(most.block, most.module)}).")


def share_word(alpha: float) -> str:
    """`10 %`, `33.3 %`: α as a person wrote it, or nearly."""
    return f"{numbers.setting(100 * alpha, 3)} %"


def layer_finding(view: LayerRows, name: str) -> str:
    """One layer: what its kept rows hold, and what as many rows would among equals."""
    rows, count = view.shape[0], len(view.dense_rows)
    if count == rows:
        return f"In {name}, all {numbers.plural(rows, 'row')} stay dense: nothing of it is pruned."
    if not count:
        top = min(rows, max(1, round(0.1 * rows)))
        held = float(view.cumulative[min(top, len(view.cumulative)) - 1])
        return (f"In {name}, no row stays dense while α is 0; {_rows(top)} of {numbers.count(rows)} hold {numbers.percent(held)} "
                f"of the energy, {numbers.times(held * rows / top)} an equal share.")
    return (f"In {name}, {_rows(count)} of {numbers.count(rows)} {'stays' if count == 1 else 'stay'} dense, with "
            f"{numbers.percent(view.held)} of the energy: {numbers.times(view.held * rows / count)} an equal share.")


def column_finding(view: LayerRows) -> str:
    """Columns that go, and how many of them only because rows are kept, or not."""
    fates = view.columns
    if fates is None:
        return ""
    gone, without = int(fates.gone.sum()), int(fates.gone_without.sum())
    words = f"{numbers.count(gone)} of {numbers.plural(len(fates.gone), 'column')} go from the rows that are pruned"
    if not view.dense_rows:
        return f"{words}. Without outlier rows every row has a say in which."
    return (f"{words}; without outlier rows it would be {numbers.count(without)}. {numbers.plural(fates.spared, 'column')} "
            f"that would go without them {'stays' if fates.spared == 1 else 'stay'}, and {numbers.count(gone - without + fates.spared)} "
            f"go that would stay.")


def _rows(count: int) -> str:
    return "the strongest row" if count == 1 else f"the {numbers.count(count)} strongest rows"
