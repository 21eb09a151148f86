"""Findings and exercises about methods step by step and about block sizes."""

from __future__ import annotations

import numpy as np

from app.learn.findings.common import Exercise
from app.shared import numbers
from core.records.lessons import STEPPED, Recording, Stepped, label


def steps_finding(found: Stepped, at: dict[str, int]) -> str:
    parts = [f"{label(one.method)} {numbers.share(float(one.measured[at[one.method]]) / found.energy)} "
             f"({_over(one, at[one.method])} the best for its mask)" for one in found.recordings]
    gone = {int(one.pruned[at[one.method]].sum()) for one in found.recordings}
    count = f"{min(gone)}" if len(gone) == 1 else f"{min(gone)} to {max(gone)}"
    return f"After {count} of {int(found.mask.sum())} removals the loss so far, of the output's energy: {', '.join(parts)}."


def _over(one: Recording, state: int) -> str:
    least = one.optimum[state]
    return numbers.times(max(1.0, float(one.measured[state] / least))) if least > 0 else "1.00×"


def exercises(found: Stepped, view: str, block: int) -> list[Exercise]:
    """About what the chosen view shows, computed at its settings."""
    return blocks_exercises(found, block) if view == "blocks" else steps_exercises(found)


def steps_exercises(found: Stepped) -> list[Exercise]:
    by_name = {one.method: one for one in found.recordings}
    sweep, thanos, obc = (by_name[name] for name in STEPPED)
    frozen = sum(int((~sweep.pruned[-1][:, :count]).sum()) for count in sweep.frozen[-2:-1])
    shared = int((sweep.pruned[-1] & obc.pruned[-1]).sum())
    return [
        ("OBC leaves nothing on the table for its mask. What do the others leave, and why?",
         f"SparseGPT ends at {_over(sweep, sweep.last)} the best for its mask, Thanos at {_over(thanos, thanos.last)}, OBC at "
         f"{_over(obc, obc.last)}. A block, once passed, is frozen: when the last block's turn came, {frozen} kept weights could no longer "
         "move. SparseGPT freezes column after column within a block, too."),
        ("How many of their removed weights do SparseGPT and OBC share?", f"{shared} of {int(sweep.pruned[-1].sum())}."),
    ]


def blocks_finding(found: Stepped, block: int) -> str:
    loss = found.block_loss
    falls = bool((np.diff(loss) <= 1e-12 * loss[0]).all())
    shape = ("Here it never rises with B." if falls else
             "It does not fall at every step, for it matters too where blocks end: only B = b is sure to be best.")
    first, now, last = (numbers.share(float(loss[at]) / found.energy) for at in (0, block - 1, -1))
    return (f"For this one mask the update loses {first} of the output's energy at B = 1, which is SparseGPT's, {now} at B = {block}, and "
            f"{last} at B = {len(loss)}, the optimum. {shape}")


def blocks_exercises(found: Stepped, block: int) -> list[Exercise]:
    """Of the one mask, at the block size that is shown."""
    loss = found.block_loss
    over = [numbers.times(max(1.0, float(value / found.optimum))) if found.optimum > 0 else "1.00×" for value in loss]
    best = [str(size) for size, value in enumerate(loss, 1) if value <= loss[-1] * (1 + 1e-9)]
    return [
        ("At which B does the update reach the optimum of this mask, and why not at every one?",
         f"At B = {', '.join(best)} (of b = {len(loss)}). At B = 1 it is {over[0]} the optimum, at B = {block} {over[block - 1]}. Weights "
         "to the left of a block can no longer move when the block is pruned, so compensation is complete only where that costs nothing; "
         "B = b, one block with all removals, is always optimal."),
    ]
