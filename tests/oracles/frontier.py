"""Frontier: a growing mask with conjugate gradients in between, then a search over exchanges, with every inverse computed anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.oracles.layers import Array, Mask, Pruned, best_weights, damped, dead_inputs, error, least_error
from tests.oracles.masks import Ask, select_part, zeros_asked
from tests.oracles.removals import column_losses


def conjugate(hessian: Array, target: Array, start: Array, kept: list[int], steps: int) -> Array:
    """Jacobi-preconditioned conjugate gradients for one row on its kept entries."""
    matrix, found = hessian[np.ix_(kept, kept)], start.copy()
    residual = hessian[kept] @ (target - start)
    scaled = residual / np.diag(matrix)
    direction, slope = scaled.copy(), residual @ scaled
    for _ in range(steps):
        if slope == 0:
            break
        length = slope / (direction @ matrix @ direction)
        found[kept] += length * direction
        residual = residual - length * (matrix @ direction)
        scaled = residual / np.diag(matrix)
        direction, slope = scaled + (residual @ scaled) / slope * direction, residual @ scaled
    return found


Rest = Callable[[int, int], int]  # pruned and kept entries of a row -> moves for which an exchanged entry rests


def frontier_rows(weight: Array, gram: Array, asked: Ask, rounds: int = 8, steps: int = 4, search: int = 512, patience: int = 10,
                  polish: int = 10, damping: float = 0.003, *, rest: Rest) -> Pruned:
    """Frontier. How long an exchanged entry rests is no law of the method but a setting: the caller gives it."""
    hessian, dead = damped(gram, damping), dead_inputs(gram)
    if damping == 0:
        hessian[dead, dead] = 1.0
    rows, columns = weight.shape
    pruned, found = np.zeros(weight.shape, dtype=bool), weight.copy()
    kept_share = 1 - zeros_asked(asked, columns) / weight.size if asked.entries is None else 1 - asked.entries / weight.size
    if asked.groups is not None:
        kept_share = 1 - asked.groups[0] / asked.groups[1]
    mean_field = 1 / np.diag(np.linalg.inv(kept_share * hessian + (1 - kept_share) * np.diag(np.diag(hessian))))
    for step in range(1, rounds + 1):
        if asked.columns is not None:
            kept = list(np.flatnonzero(~pruned[0]))
            scores = column_losses(weight, hessian, kept)[None]
        else:
            scores = np.where(pruned, ((weight - found) @ hessian) ** 2 / mean_field, found**2 * mean_field)
        scores[:, dead] = np.minimum(scores[:, dead], -1.0)
        pruned = select_part(scores, asked, step, rounds)
        if asked.columns is not None:
            pruned = np.tile(pruned[0], (rows, 1))
            continue
        found = np.where(pruned, 0.0, found)
        for i in range(rows):
            found[i] = conjugate(hessian, weight[i], found[i], list(np.flatnonzero(~pruned[i])), steps)
    if asked.columns is not None:
        if search:
            gone = exchanged(hessian, weight @ hessian, pruned[0], None, dead, 1e-5 * least_error(weight, hessian, pruned))
            pruned = np.tile(gone, (rows, 1))
        return Pruned(best_weights(weight, hessian, pruned), pruned)
    if search and 0 < kept_share < 1:
        exchange_in_blocks(weight, hessian, found, pruned, asked, dead, search, kept_share, steps, patience, rest)
    for i in range(rows):
        found[i] = conjugate(hessian, weight[i], found[i], list(np.flatnonzero(~pruned[i])), polish)
    return Pruned(found, pruned)


def explained(system: Array, linear: Array, kept: list[int]) -> float:
    """By how much the best weights on `kept` lower xAx − 2gx, summed over the rows of g."""
    return float((linear[:, kept] @ np.linalg.inv(system[np.ix_(kept, kept)]) * linear[:, kept]).sum()) if kept else 0.0


def exchanged(system: Array, linear: Array, pruned: Mask, groups: tuple[int, int] | None, barred: list[int], least: float,
              patience: int = 0, rest: Rest | None = None) -> Mask:
    """A mask of columns, for all rows of `linear` alike, after exchanges: always the best there is, until none gains more than `least`.

    With j brought in, column i goes at Σ w_i²/[A_KK⁻¹]_ii; everything is inverted anew for each j. With `patience` it goes on through
    exchanges that lose; what was exchanged rests for `rest` moves, unless that leads to a new best.
    """
    pruned, best_mask = pruned.copy(), pruned.copy()
    gained = best = 0.0
    since, move, until = 0, 0, np.zeros(len(pruned), dtype=int)
    resting = rest(int(pruned.sum()), int((~pruned).sum())) if rest else 0
    while move < 8 * len(pruned):
        now = list(np.flatnonzero(~pruned))
        most, pair = -np.inf, None
        for j in np.flatnonzero(pruned):
            if j in barred:
                continue
            kept = sorted([*now, int(j)])
            inverse = np.linalg.inv(system[np.ix_(kept, kept)])
            gain = explained(system, linear, kept) - explained(system, linear, now)
            costs = ((linear[:, kept] @ inverse) ** 2).sum(0) / np.diag(inverse)
            for at, i in enumerate(kept):
                if i == j or (groups is not None and i // groups[1] != j // groups[1]):
                    continue
                free = until[i] <= move and until[j] <= move
                if gain - costs[at] > most and (free or gain - costs[at] > best - gained + least):
                    most, pair = gain - costs[at], (j, i)
        if pair is None or (patience == 0 and most <= least):
            break
        pruned[pair[0]], pruned[pair[1]] = False, True
        move, since, gained = move + 1, since + 1, gained + most
        until[list(pair)] = move + resting
        if gained > best + least:
            best, best_mask, since = gained, pruned.copy(), 0
        elif since >= patience:
            break
    return best_mask


def lent(system: Array, linear: Array, pruned: Mask, barred: list[int], most: int = 8) -> Mask:
    """The masks of all rows after the entries that cost least have gone and as many that gain most came back in other rows."""
    offers: dict[bool, list[list[tuple[float, int]]]] = {True: [], False: []}
    for row, mask in zip(linear, pruned, strict=True):
        for gone, found in offers.items():
            mine, left, highest = list[tuple[float, int]](), mask.copy(), -np.inf
            for _ in range(most):
                before = explained(system, row[None], list(np.flatnonzero(~left)))
                values = []
                for j in np.flatnonzero(left != gone):
                    if not gone and j in barred:
                        continue
                    other = left.copy()
                    other[j] = gone
                    values.append((explained(system, row[None], list(np.flatnonzero(~other))) - before, j))
                if not values:
                    break
                value, j = max(values)
                left[j] = gone
                highest = max(highest, -value)  # costs only rise and gains only fall, in the order in which a row offers them
                mine.append((highest, j))
            found.append(mine)
    both = [bool(go and come) and -come[0][0] > go[0][0] for go, come in zip(offers[True], offers[False], strict=True)]  # does neither
    removals = sorted((cost, i, at) for i, mine in enumerate(offers[True]) if not both[i] for at, (cost, _) in enumerate(mine))
    returns = sorted((negative, i, at) for i, mine in enumerate(offers[False]) if not both[i] for at, (negative, _) in enumerate(mine))
    after = pruned.copy()
    for (cost, a, at), (negative, b, place) in zip(removals, returns, strict=False):
        if -negative <= cost:
            break
        after[a, offers[True][a][at][1]], after[b, offers[False][b][place][1]] = True, False
    return after


def exchange_in_blocks(weight: Array, hessian: Array, found: Array, pruned: Array, asked: Ask, dead: list[int], width: int,
                       kept_share: float, steps: int, patience: int, rest: Rest) -> None:
    """Changes `found` and `pruned`. A row's own curvature inside a block; outside it an average row's, with conjugate gradients after.

    Where rows may lend each other entries, the near blocks do, after their exchanges; a single block is then searched again.
    """
    least = 1e-4 * error(weight, found, hessian) / len(weight)
    blocks = blocks_of(hessian, asked, width)
    lends = asked.groups is None and patience > 0
    turns = blocks * 2 if lends and len(blocks) == 1 else blocks
    for turn, block in enumerate(turns):
        outside = [j for j in range(len(hessian)) if j not in block]
        share = np.full(len(hessian), kept_share)
        share[block] = 1.0
        if asked.groups is not None:
            share[len(hessian) // asked.groups[1] * asked.groups[1] :] = 1.0
        mixed = hessian * np.sqrt(np.outer(share, share))
        np.fill_diagonal(mixed, np.diag(hessian))
        cross = mixed[np.ix_(block, outside)]
        system = mixed[np.ix_(block, block)] - cross @ np.linalg.solve(mixed[np.ix_(outside, outside)], cross.T)
        barred = [at for at, j in enumerate(block) if j in dead]
        linear = (weight - found) @ hessian[:, block] + found[:, block] @ system
        masks = pruned[:, block].copy()
        for i in range(len(weight)):
            gone = exchanged(system, linear[i : i + 1], masks[i], asked.groups, barred, least, patience, rest)
            if (gone != masks[i]).any():
                kept = np.flatnonzero(~gone)
                masks[i], found[i, block] = gone, 0.0
                found[i, np.array(block)[kept]] = np.linalg.solve(system[np.ix_(kept, kept)], linear[i, kept])
        if lends and turn < max(1, len(blocks) // 2):
            masks = lent(system, linear, masks, barred)
        pruned[:, block] = masks
        found[pruned] = 0.0
        if len(blocks) > 1:
            for i in range(len(weight)):
                found[i] = conjugate(hessian, weight[i], found[i], list(np.flatnonzero(~pruned[i])), steps)


def blocks_of(hessian: Array, asked: Ask, width: int) -> list[list[int]]:
    """Whole groups: first those that are most correlated with each other together, then every k-th of that order."""
    unit = asked.groups[1] if asked.groups is not None else 1
    count, most = len(hessian) // unit, max(1, width // unit)
    if count * unit == len(hessian) <= width:
        return [list(range(len(hessian)))]
    alike = hessian**2 / np.outer(np.diag(hessian), np.diag(hessian))
    alike = np.array([[alike[a * unit : (a + 1) * unit, b * unit : (b + 1) * unit].sum() for b in range(count)] for a in range(count)])
    order: list[int] = []
    while len(order) < count:
        free = [a for a in range(count) if a not in order]
        have = order[len(order) // most * most :] or free
        order.append(max(free, key=lambda a: alike[a, have].sum()))
    near = [order[start : start + most] for start in range(0, count, most)]
    spread = [order[start :: len(near)] for start in range(len(near))] if len(near) > 1 else []
    return [[a * unit + k for a in block for k in range(unit)] for block in near + spread]
