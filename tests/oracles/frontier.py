"""Frontier and ALPS: ADMM on mask and weights, conjugate gradients, and a search over swaps, with every inverse computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tests.oracles.layers import Array, Mask, Pruned, best_weights, damped, dead_inputs, error, least_error
from tests.oracles.masks import Ask, select, select_part
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


def splitting(target: Array, system: Array, asked: Ask, dead: list[int], rhos: Iterable[float]) -> Iterator[tuple[Array, Array, Mask]]:
    """B, D and the mask of D after each iteration; `rhos` may follow what is yielded."""
    def keep(scores: Array) -> Mask:
        scores = scores**2
        scores[:, dead] = -1.0
        return select(scores, asked, per_row=False)

    dual = np.zeros_like(target)
    split = np.where(keep(target), 0.0, target)
    for rho in rhos:
        primal = (target @ system - dual + rho * split) @ np.linalg.inv(system + rho * np.eye(len(system)))
        pruned = keep(primal + dual / rho)
        split = np.where(pruned, 0.0, primal + dual / rho)
        dual = dual + rho * (primal - split)
        yield primal, split, pruned


def scaled(weight: Array, gram: Array, damping: float) -> tuple[Array, Array, Array, Array, list[int]]:
    """H, d, A and T, and the dead inputs."""
    hessian, dead = damped(gram, damping), dead_inputs(gram)
    if damping == 0:
        hessian[dead, dead] = 1.0
    norm = np.sqrt(np.diag(hessian))
    return hessian, norm, hessian / np.outer(norm, norm), weight * norm, dead


def alps_rows(weight: Array, gram: Array, asked: Ask, iterations: int = 300, rho: float = 0.1, every: int = 3, polish: int = 10,
              damping: float = 0.01) -> Pruned:
    hessian, norm, system, target, dead = scaled(weight, gram, damping)
    kept = weight.size - int(select(target**2, asked, per_row=False).sum())
    penalty, done, moved, restart, primal = [rho], 0, False, 0 < kept < weight.size, target
    while restart and done < iterations:
        restart, start = False, target**2
        start[:, dead] = -1.0
        before = select(start, asked, per_row=False)
        for primal, _, pruned in splitting(target, system, asked, dead, iter(lambda: penalty[0], None)):  # noqa: B007
            done += 1
            if done % every == 0:
                changed, before = int((pruned != before).sum()), pruned
                if changed:
                    moved = True
                    penalty[0] *= 1.3 if changed > 0.1 * kept else 1.2 if changed > 0.005 * kept else 1.1
                elif moved or penalty[0] < 1e-6:
                    break
                else:
                    penalty[0] /= 5
                    restart = True
                    break
            if done >= iterations:
                break
    if restart:  # the last iteration began anew
        primal = target
    scores = primal**2
    scores[:, dead] = -1.0
    pruned = select(scores, asked, per_row=False)
    found = np.where(pruned, 0.0, primal / norm)
    for i in range(len(found)):
        found[i] = conjugate(hessian, weight[i], found[i], list(np.flatnonzero(~pruned[i])), polish)
    return Pruned(found, pruned)


def frontier_rows(weight: Array, gram: Array, asked: Ask, rounds: int = 20, steps: int = 5, search: int = 512, patience: int = 10,
                  polish: int = 10, damping: float = 0.003, *, rest: Rest) -> Pruned:
    """Frontier. How long an exchanged entry rests is no law of the method but a setting: the caller gives it."""
    hessian, norm, system, target, dead = scaled(weight, gram, damping)
    if asked.columns is not None:
        return frontier_columns(weight, hessian, asked, dead, 8 if rounds == 20 else rounds, search)
    *_, (_, split, pruned) = splitting(target, system, asked, dead, (
        0.03 ** ((rounds - 1 - done) / max(1, rounds - 1)) for done in range(rounds) for _ in range(steps)))
    found = split / norm

    def refit() -> None:
        for i in range(len(found)):
            found[i] = conjugate(hessian, weight[i], found[i], list(np.flatnonzero(~pruned[i])), polish)

    if len(hessian) <= search and pruned.any() and not pruned.all():
        refit()
        swap_entries(weight, hessian, found, pruned, asked, dead, patience, rest)
    refit()
    return Pruned(found, pruned)


def frontier_columns(weight: Array, hessian: Array, asked: Ask, dead: list[int], rounds: int, search: int) -> Pruned:
    pruned = np.zeros(weight.shape, dtype=bool)
    for step in range(1, rounds + 1):
        scores = column_losses(weight, hessian, list(np.flatnonzero(~pruned[0])))[None]
        scores[:, dead] = np.minimum(scores[:, dead], -1.0)
        pruned = np.tile(select_part(scores, asked, step, rounds)[0], (len(weight), 1))
    if search:
        gone = exchanged(hessian, weight @ hessian, pruned[0], None, dead, 1e-5 * least_error(weight, hessian, pruned))
        pruned = np.tile(gone, (len(weight), 1))
    return Pruned(best_weights(weight, hessian, pruned), pruned)


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


def swap_entries(weight: Array, hessian: Array, found: Array, pruned: Array, asked: Ask, dead: list[int], patience: int,
                 rest: Rest) -> None:
    """Changes `found` and `pruned`. Rows without groups lend each other entries after a first search, and are searched again.

    The columns after the last whole group are kept by every row, and follow the others exactly.
    """
    least = 1e-4 * error(weight, found, hessian) / len(weight)
    size = len(hessian) - (len(hessian) % asked.groups[1] if asked.groups is not None else 0)
    across = hessian[:size, size:]
    system = hessian[:size, :size] - across @ np.linalg.solve(hessian[size:, size:], across.T)
    barred = [j for j in dead if j < size]
    lends = asked.groups is None and patience > 0
    for lend in (True, False) if lends else (False,):
        linear = (weight - found) @ hessian[:, :size] + found[:, :size] @ system
        masks = pruned[:, :size].copy()
        for i in range(len(weight)):
            gone = exchanged(system, linear[i : i + 1], masks[i], asked.groups, barred, least, patience, rest)
            if (gone != masks[i]).any():
                kept = np.flatnonzero(~gone)
                masks[i], found[i, :size] = gone, 0.0
                found[i, kept] = np.linalg.solve(system[np.ix_(kept, kept)], linear[i, kept])
        pruned[:, :size] = lent(system, linear, masks, barred) if lend else masks
        found[pruned] = 0.0
