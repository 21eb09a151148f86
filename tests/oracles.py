"""Textbook pruning in float64 numpy: explicit inverses, Python loops, row by row. Slow on purpose; nothing here imports core.

Written from METHODS.md. The factors of 2 of the papers cancel, so H = G + λ·mean(diag G)·I. Patterns are read by their fields
only; their counts are worked out here again, in exact fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass
class Step:
    """One block: its columns, its mask [c, width], the whole weight [c, b] after it, and what its removals cost."""

    start: int
    end: int
    pruned: Mask
    weight: Array
    loss: float


@dataclass
class Pruned:
    """What a textbook run ends with. `dense_rows` are the rows that α keeps; `steps` see the active rows only."""

    weight: Array
    pruned: Mask
    dense_rows: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


# Layers to prune.


def random_layer(rows: int, columns: int, **options: object) -> tuple[Array, Array]:
    """W [c, b] and G = XXᵀ [b, b] of `random_inputs`."""
    weight, inputs = random_inputs(rows, columns, **options)
    return weight, inputs @ inputs.T


def random_inputs(rows: int, columns: int, *, tokens: int | None = None, dead: tuple[int, ...] = (), seed: int = 0,
                  shift: float = 0.0) -> tuple[Array, Array]:
    """W [c, b] and correlated inputs X [b, T] with unequal energies; T < b makes XXᵀ rank-deficient, `shift` spreads their means."""
    rng = np.random.default_rng([seed, rows, columns])
    tokens = 3 * columns + 8 if tokens is None else tokens
    mixing = rng.standard_normal((columns, columns)) / math.sqrt(columns) + np.eye(columns)
    inputs = (mixing @ rng.standard_normal((columns, tokens))) * np.exp(rng.normal(0, 0.7, (columns, 1)))
    weight = rng.standard_normal((rows, columns)) * np.exp(rng.normal(0, 0.3, (rows, 1)))
    inputs += shift * rng.standard_normal((columns, 1))
    inputs[list(dead)] = 0.0
    return weight, inputs


# Errors, damping, inverses.


def error(weight: Array, other: Array, matrix: Array) -> float:
    """tr(Δ M Δᵀ), row by row."""
    return sum(float((v - w) @ matrix @ (v - w)) for w, v in zip(weight, other, strict=True))


def relative_error(weight: Array, other: Array, gram: Array) -> float:
    return error(weight, other, gram) / error(np.zeros_like(weight), weight, gram)


def damped(gram: Array, damping: float) -> Array:
    """H = G + λ·mean(diag G)·I, the mean over all inputs."""
    return gram + damping * np.mean(np.diag(gram)) * np.eye(len(gram))


def dead_inputs(gram: Array) -> list[int]:
    return [j for j in range(len(gram)) if gram[j, j] == 0]


def trailing_inverse(hessian: Array, start: int, dead: list[int]) -> Array:
    """[H_{j:,j:}]⁻¹ over the live inputs from `start` on, indexed like H; zero wherever an input is dead or already passed."""
    live = [j for j in range(start, len(hessian)) if j not in dead]
    inverse = np.zeros_like(hessian)
    inverse[np.ix_(live, live)] = np.linalg.inv(hessian[np.ix_(live, live)])
    return inverse


def remove(row: Array, gone: list[int], inverse: Array, dead: list[int]) -> tuple[Array, float]:
    """OBS for several weights at once: Δw = −u·(H⁻¹_SS)⁻¹·H⁻¹_S: and its cost u (H⁻¹_SS)⁻¹ uᵀ. Dead inputs cost nothing."""
    live = [j for j in gone if j not in dead]
    row, cost = row.copy(), 0.0
    if live:
        multipliers = row[live] @ np.linalg.inv(inverse[np.ix_(live, live)])
        cost = float(multipliers @ row[live])
        row = row - multipliers @ inverse[live]
    row[gone] = 0.0
    return row, cost


# Choosing entries.


def smallest(scores: Array, count: int) -> Mask:
    """Exactly `count` entries, the smallest first, ties by (row, column)."""
    listed = scores.ravel().tolist()
    order = sorted(range(len(listed)), key=lambda at: (listed[at], at))
    mask = np.zeros(len(listed), dtype=bool)
    mask[order[:count]] = True
    return mask.reshape(scores.shape)


def smallest_per_row(scores: Array, count: int) -> Mask:
    return np.stack([smallest(row, count) for row in scores])


def smallest_in_groups(scores: Array, n: int, m: int) -> Mask:
    mask = np.zeros(scores.shape, dtype=bool)
    for i, row in enumerate(scores):
        for start in range(0, len(row) - m + 1, m):
            mask[i, start : start + m] = smallest(row[start : start + m], n)
    return mask


def smallest_columns(losses: Array, count: int) -> Mask:
    return smallest(losses, count)


# What a pattern asks for.


@dataclass
class Ask:
    """The dense rows, the active rows, and of those: entries, or n of m, or columns to remove."""

    dense: list[int]
    active: list[int]
    entries: int | None = None
    groups: tuple[int, int] | None = None
    columns: int | None = None


def energies(weight: Array, gram: Array) -> Array:
    """h_i = W_i G W_iᵀ."""
    return np.array([row @ gram @ row for row in weight])


def ask(weight: Array, gram: Array, pattern: object) -> Ask:
    rows, columns = weight.shape
    alpha = Fraction(str(pattern.outlier_rows))
    energy = energies(weight, gram)
    heaviest = sorted(range(rows), key=lambda i: (-energy[i], i))
    dense = sorted(heaviest[: math.ceil(alpha * rows)])
    active = [i for i in range(rows) if i not in dense]
    found = Ask(dense, active)
    if pattern.kind == "unstructured":
        p = Fraction(str(pattern.sparsity))
        counted = rows if pattern.alpha_budget == "iso" else len(active)
        found.entries = min(math.floor(p * counted * columns), len(active) * columns)
    elif pattern.kind == "semi-structured":
        share = 1 - alpha if pattern.alpha_budget == "iso" else Fraction(1)
        n = pattern.n / share
        assert n.denominator == 1, "the pattern should have refused"
        found.groups = int(n), pattern.m
    else:
        found.columns = min(columns, math.ceil(Fraction(str(pattern.sparsity)) * columns / (1 - alpha)))
    return found


def zeros_asked(asked: Ask, columns: int, *, per_row: bool = False) -> int:
    """How many entries must go in all."""
    if asked.entries is not None:
        return asked.entries // len(asked.active) * len(asked.active) if per_row and asked.active else asked.entries
    if asked.groups is not None:
        return columns // asked.groups[1] * asked.groups[0] * len(asked.active)
    return asked.columns * len(asked.active)


def select(scores: Array, asked: Ask, *, per_row: bool) -> Mask:
    """One mask for the whole layer from one table of scores (magnitude, Wanda)."""
    if asked.groups is not None:
        return smallest_in_groups(scores, *asked.groups)
    if asked.columns is not None:
        return np.tile(smallest_columns(scores.mean(axis=0), asked.columns), (len(scores), 1))
    if per_row:
        return smallest_per_row(scores, asked.entries // len(scores))
    return smallest(scores, asked.entries)


def block_bounds(columns: int, block_size: int, asked: Ask) -> list[tuple[int, int]]:
    """Blocks of B columns; for n:m of the largest multiple of m that is at most B, and never less than m."""
    if asked.groups is not None:
        m = asked.groups[1]
        block_size = max(m, block_size // m * m)
    return [(start, min(start + block_size, columns)) for start in range(0, columns, block_size)]


# The methods, on the active rows.


def magnitude_rows(weight: Array, gram: Array, asked: Ask, granularity: str) -> Pruned:
    scores = np.abs(weight)
    scores[:, dead_inputs(gram)] = -1.0
    pruned = select(scores, asked, per_row=granularity == "row")
    return Pruned(np.where(pruned, 0.0, weight), pruned)


def wanda_rows(weight: Array, gram: Array, asked: Ask, granularity: str) -> Pruned:
    pruned = select(np.abs(weight) * np.sqrt(np.diag(gram)), asked, per_row=granularity == "row")
    return Pruned(np.where(pruned, 0.0, weight), pruned)


def obs_scores(weight: Array, hessian: Array, start: int, end: int, dead: list[int]) -> Array:
    """W²/U_jj² for the columns start..end, where U_jj² = ([H_{j:,j:}]⁻¹)_jj; 0 for dead inputs."""
    scores = np.zeros((len(weight), end - start))
    for j in range(start, end):
        if j not in dead:
            scores[:, j - start] = weight[:, j] ** 2 / trailing_inverse(hessian, j, dead)[j, j]
    return scores


def sweep_column(weight: Array, hessian: Array, j: int, rows: Mask, dead: list[int]) -> tuple[Array, float]:
    """Remove entry j of the rows marked; everything to the left is frozen."""
    inverse, weight, loss = trailing_inverse(hessian, j, dead), weight.copy(), 0.0
    for i in np.flatnonzero(rows):
        weight[i], cost = remove(weight[i], [j], inverse, dead)
        loss += cost
    return weight, loss


def sweep(weight: Array, gram: Array, pruned: Mask, damping: float) -> tuple[Array, float]:
    """SparseGPT's update for a mask that is given: column after column. Also Thanos with B = 1."""
    hessian, dead, total = damped(gram, damping), dead_inputs(gram), 0.0
    for j in range(weight.shape[1]):
        weight, loss = sweep_column(weight, hessian, j, pruned[:, j], dead)
        total += loss
    return weight, total


def sparsegpt_rows(weight: Array, gram: Array, asked: Ask, block_size: int, damping: float) -> Pruned:
    hessian, dead, columns = damped(gram, damping), dead_inputs(gram), weight.shape[1]
    pruned, steps = np.zeros(weight.shape, dtype=bool), []
    for start, end in block_bounds(columns, block_size, asked):
        here, loss = pruned[:, start:end], 0.0
        if asked.entries is not None:
            share = asked.entries * end // columns - asked.entries * start // columns
            here[:] = smallest(obs_scores(weight, hessian, start, end, dead), share)
        elif asked.columns is not None:
            share = asked.columns * end // columns - asked.columns * start // columns
            here[:] = smallest_columns(obs_scores(weight, hessian, start, end, dead).mean(axis=0), share)
        for j in range(start, end):
            if asked.groups is not None and j % asked.groups[1] == 0 and j + asked.groups[1] <= columns:
                n, m = asked.groups
                pruned[:, j : j + m] = smallest_per_row(obs_scores(weight, hessian, j, j + m, dead), n)
            weight, cost = sweep_column(weight, hessian, j, pruned[:, j], dead)
            loss += cost
        steps.append(Step(start, end, here.copy(), weight.copy(), loss))
    return Pruned(weight, pruned, steps=steps)


def remove_from_rows(weight: Array, pruned: Mask, inverse: Array, dead: list[int]) -> tuple[Array, float]:
    weight, loss = weight.copy(), 0.0
    for i in range(len(weight)):
        weight[i], cost = remove(weight[i], list(np.flatnonzero(pruned[i])), inverse, dead)
        loss += cost
    return weight, loss


def thanos_rows(weight: Array, gram: Array, asked: Ask, block_size: int, damping: float) -> Pruned:
    hessian, dead, columns = damped(gram, damping), dead_inputs(gram), weight.shape[1]
    pruned, steps = np.zeros(weight.shape, dtype=bool), []
    if asked.columns is not None:
        losses = np.array([sum(weight[i, j] ** 2 * gram[j, j] for i in range(len(weight))) for j in range(columns)])
        pruned[:] = smallest_columns(losses, asked.columns)
        weight, loss = remove_from_rows(weight, pruned, trailing_inverse(hessian, 0, dead), dead)
        return Pruned(weight, pruned, steps=[Step(0, columns, pruned.copy(), weight.copy(), loss)])
    left = asked.entries
    for start, end in block_bounds(columns, block_size, asked):
        scores = np.abs(weight[:, start:]) * np.sqrt(np.diag(gram))[start:]
        if asked.groups is not None:
            chosen = smallest_in_groups(scores[:, : end - start], *asked.groups)
        else:
            chosen = smallest(scores, left)[:, : end - start]
            left -= int(chosen.sum())
        here = np.zeros(weight.shape, dtype=bool)
        here[:, start:end] = chosen
        weight, loss = remove_from_rows(weight, here, trailing_inverse(hessian, start, dead), dead)
        pruned |= here
        steps.append(Step(start, end, chosen, weight.copy(), loss))
    return Pruned(weight, pruned, steps=steps)


def grown(count: int, step: int, steps: int) -> int:
    """⌊count·(1 − (1 − step/steps)³)⌋."""
    return count if step >= steps else math.floor(count * (1 - (1 - Fraction(step, steps)) ** 3))


def select_part(scores: Array, asked: Ask, step: int, steps: int, *, per_row: bool = False) -> Mask:
    """A mask that grows; n:m grows as a layer, with never more than n in a group."""
    if asked.columns is not None:
        return np.tile(smallest_columns(scores.mean(axis=0), grown(asked.columns, step, steps)), (len(scores), 1))
    if asked.groups is not None:
        most = smallest_in_groups(scores, *asked.groups)
        return smallest(np.where(most, scores, np.inf), grown(int(most.sum()), step, steps))
    if per_row:
        return smallest_per_row(scores, grown(asked.entries // len(scores), step, steps))
    return smallest(scores, grown(asked.entries, step, steps))


def admm_rows(weight: Array, gram: Array, asked: Ask, iterations: int, damping: float, granularity: str, growing: int) -> Pruned:
    """Z, U and W̃ as in METHODS.md §5; the mask grows over the first `growing` iterations (0: fixed from the start)."""
    dead, per_row = dead_inputs(gram), granularity == "row"
    norm = np.sqrt(np.diag(gram))
    norm[dead] = 1.0
    system = damped(gram / np.outer(norm, norm), damping)
    start = weight * norm
    inverse = np.linalg.inv(system + np.eye(len(gram)))
    primal, dual = start.copy(), np.zeros_like(start)
    for step in range(1, iterations + 1):
        if step == 1 or step <= growing:
            scores = np.abs(primal + dual)
            scores[:, dead] = -1.0
            pruned = select_part(scores, asked, step, growing, per_row=per_row)
        split = np.where(pruned, 0.0, primal + dual)
        dual = dual + primal - split
        primal = (start @ system + split - dual) @ inverse
    return Pruned(np.where(pruned, 0.0, primal + dual) / norm, pruned)


def admm1_rows(weight: Array, gram: Array, asked: Ask, iterations: int = 20, damping: float = 0.1, granularity: str = "row") -> Pruned:
    return admm_rows(weight, gram, asked, iterations, damping, granularity, 0)


def admm_grad_rows(weight: Array, gram: Array, asked: Ask, iterations: int = 20, damping: float = 0.1,
                   granularity: str = "layer") -> Pruned:
    return admm_rows(weight, gram, asked, iterations, damping, granularity, max(1, iterations * 3 // 4))


def column_losses(weight: Array, hessian: Array, kept: list[int]) -> Array:
    """By how much the least damped error grows when one more column goes; −2 for those that are gone."""
    losses = np.full(weight.shape[1], -2.0)
    inverse = np.linalg.inv(hessian[np.ix_(kept, kept)])
    for at, j in enumerate(kept):
        losses[j] = sum((inverse[at] @ hessian[kept] @ row) ** 2 / inverse[at, at] for row in weight)
    return losses


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


def frontier_rows(weight: Array, gram: Array, asked: Ask, rounds: int = 8, steps: int = 4, search: int = 512, patience: int = 10,
                  polish: int = 10, damping: float = 0.003) -> Pruned:
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
        exchange_in_blocks(weight, hessian, found, pruned, asked, dead, search, kept_share, steps, patience)
    for i in range(rows):
        found[i] = conjugate(hessian, weight[i], found[i], list(np.flatnonzero(~pruned[i])), polish)
    return Pruned(found, pruned)


def explained(system: Array, linear: Array, kept: list[int]) -> float:
    """By how much the best weights on `kept` lower xAx − 2gx, summed over the rows of g."""
    return float((linear[:, kept] @ np.linalg.inv(system[np.ix_(kept, kept)]) * linear[:, kept]).sum()) if kept else 0.0


def exchanged(system: Array, linear: Array, pruned: Mask, groups: tuple[int, int] | None, barred: list[int], least: float,
              patience: int = 0) -> Mask:
    """A mask of columns, for all rows of `linear` alike, after exchanges: always the best there is, until none gains more than `least`.

    With j brought in, column i goes at Σ w_i²/[A_KK⁻¹]_ii; everything is inverted anew for each j. With `patience` it goes on through
    exchanges that lose; what was exchanged rests for a while, unless that leads to a new best.
    """
    pruned, best_mask = pruned.copy(), pruned.copy()
    gained = best = 0.0
    since, move, until = 0, 0, np.zeros(len(pruned), dtype=int)
    rest = 1 + min(15, int(pruned.sum()) // 3, int((~pruned).sum()) // 3)
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
        until[list(pair)] = move + rest
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
                       kept_share: float, steps: int, patience: int) -> None:
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
            gone = exchanged(system, linear[i : i + 1], masks[i], asked.groups, barred, least, patience)
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


def next_removal(row: Array, hessian: Array, gone: list[int], dead: list[int], groups: tuple[int, int] | None) -> tuple[float, int]:
    """The cheapest next removal of a row: (cost, column). Everything is inverted anew."""
    kept = [j for j in range(len(row)) if j not in gone]
    inverse = np.linalg.inv(hessian[np.ix_(kept, kept)])
    best = inverse @ hessian[kept] @ row
    found = []
    for at, j in enumerate(kept):
        if groups is not None:
            n, m = groups
            if j >= len(row) // m * m or sum(k // m == j // m for k in gone) >= n:
                continue
        found.append((-1.0 if j in dead else float(best[at] ** 2 / inverse[at, at]), j))
    return min(found)


def obc_rows(weight: Array, gram: Array, asked: Ask, damping: float = 0.01, granularity: str = "layer") -> Pruned:
    """Always the row whose next removal is the cheapest (row: each row alone); whole columns one by one in the same way."""
    hessian, dead = damped(gram, damping), dead_inputs(gram)
    if damping == 0:
        hessian[dead, dead] = 1.0
    rows, columns = weight.shape
    gone: list[list[int]] = [[] for _ in range(rows)]
    if asked.columns is not None:
        for _ in range(asked.columns):
            kept = [j for j in range(columns) if j not in gone[0]]
            losses = column_losses(weight, hessian, kept)
            losses[[j for j in kept if j in dead]] = -1.0
            losses[gone[0]] = np.inf
            gone[0].append(int(np.argmin(losses)))
        gone = [gone[0]] * rows
    else:
        each = None
        if asked.groups is not None:
            each = columns // asked.groups[1] * asked.groups[0]
        elif granularity == "row":
            each = asked.entries // rows
        left = each * rows if each is not None else asked.entries
        following: dict[int, tuple[float, int]] = {}
        while left:
            for i in range(rows):
                if i not in following and len(gone[i]) < (columns if each is None else each):
                    following[i] = next_removal(weight[i], hessian, gone[i], dead, asked.groups)
            i = min(following, key=lambda at: (following[at][0], at))
            gone[i].append(following.pop(i)[1])
            left -= 1
    pruned = np.zeros(weight.shape, dtype=bool)
    for i in range(rows):
        pruned[i, gone[i]] = True
    return Pruned(best_weights(weight, hessian, pruned), pruned)


def adaprune_rows(weight: Array, gram: Array, asked: Ask, mask: str = "wanda", granularity: str = "row", optimizer: str = "adam",
                  iterations: int = 200, learning_rate: float = 1.0) -> Pruned:
    pruned = {"wanda": wanda_rows, "magnitude": magnitude_rows}[mask](weight, gram, asked, granularity).pruned
    found, size, energy = np.where(pruned, 0.0, weight), math.sqrt(np.mean(weight**2)), np.mean(np.diag(gram))
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    if energy == 0 or size == 0:
        return Pruned(found, pruned)
    for step in range(1, iterations + 1):
        gradient = np.where(pruned, 0.0, (found - weight) @ gram)
        if optimizer == "sgd":
            bound = min(math.sqrt((gram**2).sum()), max(np.abs(row).sum() for row in gram))
            found = found - learning_rate / bound * gradient
            continue
        gradient = gradient / (energy * size)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        found = found - 0.01 * learning_rate * size * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return Pruned(found, pruned)


def dsnot_rows(weight: Array, gram: Array, asked: Ask, mean: Array, tokens: int, mask: str = "wanda", cycles: int = 50,
               threshold: float = 0.1) -> Pruned:
    """Row by row: the pruned entry that brings the mean output nearest to right, per variance, for the cheapest kept one that helps."""
    start = {"wanda": lambda: wanda_rows(weight, gram, asked, "row"), "magnitude": lambda: magnitude_rows(weight, gram, asked, "layer"),
             "sparsegpt": lambda: sparsegpt_rows(weight.copy(), gram, asked, 128, 0.01)}
    pruned, columns, square = start[mask]().pruned.copy(), weight.shape[1], np.diag(gram) / tokens
    variance = np.maximum(square - mean**2, np.finfo(float).eps * square)
    group = [j // asked.groups[1] if asked.groups else 0 for j in range(columns)]
    for i, row in enumerate(weight):
        off = sum(row[k] * mean[k] for k in range(columns) if pruned[i, k])
        for _ in range(cycles):
            if abs(off) <= threshold * math.sqrt(row @ gram @ row / tokens):
                break
            gains = np.sign(off) * row * mean
            partners = {k: [j for j in range(columns) if not pruned[i, j] and gains[j] < 0 and group[j] == group[k]]
                        for k in range(columns) if pruned[i, k] and gains[k] > 0}
            grown = max((k for k in partners if partners[k]), key=lambda k: (gains[k] / variance[k], -k), default=None)
            if grown is None:
                break
            gone = min(partners[grown], key=lambda j: (abs(row[j]) * math.sqrt(gram[j, j]), j))
            after = off - row[grown] * mean[grown] + row[gone] * mean[gone]
            if abs(after) >= abs(off):
                break
            pruned[i, grown], pruned[i, gone], off = False, True, after
    return Pruned(np.where(pruned, 0.0, weight), pruned)


TEXTBOOK = {"magnitude": magnitude_rows, "wanda": wanda_rows, "sparsegpt": sparsegpt_rows, "thanos": thanos_rows,
            "admm1": admm1_rows, "admm-grad": admm_grad_rows, "frontier": frontier_rows, "obc": obc_rows, "adaprune": adaprune_rows,
            "dsnot": dsnot_rows}


def run(name: str, weight: Array, gram: Array, pattern: object, **parameters: object) -> Pruned:
    """A method by its name on a layer: outlier rows set aside, the rest pruned, put together again."""
    asked = ask(weight, gram, pattern)
    whole, pruned = weight.copy(), np.zeros(weight.shape, dtype=bool)
    if not asked.active:
        return Pruned(whole, pruned, asked.dense)
    part = TEXTBOOK[name](weight[asked.active].copy(), gram, asked, **parameters)
    whole[asked.active], pruned[asked.active] = part.weight, part.pruned
    return Pruned(whole, pruned, asked.dense, part.steps)


# The least possible error for a mask.


def best_weights(weight: Array, matrix: Array, pruned: Mask) -> Array:
    """Row by row the least-squares weights that vanish on the mask: w_K = (M_KK)⁺ M_K: wᵀ."""
    best = np.zeros_like(weight)
    for i in range(len(weight)):
        kept = np.flatnonzero(~pruned[i])
        if len(kept):
            best[i, kept] = np.linalg.lstsq(matrix[np.ix_(kept, kept)], matrix[kept] @ weight[i], rcond=1e-13)[0]
    return best


def least_error(weight: Array, matrix: Array, pruned: Mask) -> float:
    return error(weight, best_weights(weight, matrix, pruned), matrix)
