"""Findings of the lessons: sentences, formulas with the numbers put in, exercises with their answers. All computed."""

from __future__ import annotations

import math

import numpy as np

from app.learn.charts.masks import mask_names, shares
from app.learn.charts.removals import interaction, order
from app.shared import numbers
from core.records import DESCENTS, Convergence, Trace
from core.records.lessons import COMPARED, STEPPED, STRENGTHS, Formulas, Masks, OneWeight, Recording, Stepped, StrongRow, TwoWeights, label

Exercise = tuple[str, str]  # question, answer
_TIE = 1e-9  # two losses that differ by less came out equal
_EVEN = 0.01  # within one percent of each other two losses count as the same


def tex(value: float) -> str:
    """A number in a formula: three digits, powers of ten where it is small or large."""
    text = f"{value:.3g}"
    mantissa, _, power = text.partition("e")
    return f"{mantissa}\\cdot 10^{{{int(power)}}}" if power else text


def one_weight_finding(found: OneWeight, row: int, column: int) -> str:
    loss, alone, count = found.loss[row, column], found.diagonal[row, column], found.weight.size
    by_loss, by_diagonal, by_size = (order(values)[row, column] for values in (found.loss, found.diagonal, np.abs(found.weight)))
    more = numbers.times(alone / loss) if loss else "1×"
    return (f"Removing w = {numbers.signed(found.weight[row, column])} (row {row}, input {column}) costs "
            f"{numbers.share(loss / found.energy)} of the output's energy; if nothing else moved, {more} as much. Of {count} weights it "
            f"is number {by_loss} to go by its loss, {by_diagonal} by the diagonal alone, {by_size} by magnitude.")


def one_weight_formula(found: OneWeight, row: int, column: int) -> str:
    """The loss of the chosen weight, and how much of its input the others can stand for."""
    weight, inverse = found.weight[row, column], found.inverse[column, column]
    return (rf"$$\text{{loss}} = \frac{{w_q^2}}{{[H^{{-1}}]_{{qq}}}} = \frac{{({tex(weight)})^2}}{{{tex(inverse)}}} = "
            rf"{tex(found.loss[row, column])}$$")


def one_weight_reason(found: OneWeight, column: int) -> str:
    factor = float(found.hessian[column, column] * found.inverse[column, column])
    return (f"For input {column}, $H_{{qq}}\\,[H^{{-1}}]_{{qq}} = {factor:.3g}$: the other inputs can stand for "
            f"{numbers.percent(1 - 1 / factor)} of it, and compensation saves just that share of the loss.")


def one_weight_exercises(found: OneWeight) -> list[Exercise]:
    factor = np.diag(found.hessian) * np.diag(found.inverse)
    saved = int(np.argmax(factor))
    cheapest = np.unravel_index(int(np.argmin(found.loss)), found.loss.shape)
    smallest = np.unravel_index(int(np.argmin(np.abs(found.weight))), found.weight.shape)
    same = "They are the same weight here." if cheapest == smallest else "They are not the same weight here."
    return [
        ("Which weight costs least, and which is the smallest?",
         f"Cheapest: row {cheapest[0]}, input {cheapest[1]}, loss {numbers.error(found.loss[cheapest])}. Smallest: row {smallest[0]}, "
         f"input {smallest[1]}, loss {numbers.error(found.loss[smallest])}. {same}"),
        ("For which input does compensation help most, and is it the same input in every row?",
         f"Input {saved}: it saves {numbers.percent(1 - 1 / float(factor[saved]))}. The share is the same in every row, because "
         "H_qq·[H⁻¹]_qq depends on the inputs alone."),
        ("When is it certain that the diagonal score and the loss order all weights alike?",
         f"When H_qq·[H⁻¹]_qq is the same for every input; so if H is diagonal, where it is 1. Here it goes from {factor.min():.3g} to "
         f"{factor.max():.3g}, and the rank agreement is {found.agreement['diagonal']:.3f}."),
    ]


def pair_ratio(found: TwoWeights, row: int, first: int, second: int) -> float:
    return float(interaction(found)[row, first, second])


def pair_verdict(found: TwoWeights, row: int, first: int, second: int) -> str:
    """`less`, `same` or `more`: the loss of the pair beside the sum of the two."""
    ratio = pair_ratio(found, row, first, second)
    return "same" if abs(ratio - 1) <= _EVEN else "more" if ratio > 1 else "less"


def pair_finding(found: TwoWeights, row: int, first: int, second: int) -> str:
    pair = found.pair[row]
    above = interaction(found)[row][np.triu_indices(pair.shape[0], 1)]
    words = {"less": "less than", "same": "about the same as", "more": "more than"}[pair_verdict(found, row, first, second)]
    return (f"Removing inputs {first} and {second} of row {row} costs {numbers.error(pair[first, second])}; alone they cost "
            f"{numbers.error(pair[first, first])} and {numbers.error(pair[second, second])}: together {words} the sum "
            f"({numbers.times(pair_ratio(found, row, first, second))}). Over the {above.size} pairs of this row the ratio goes from "
            f"{numbers.times(above.min())} to {numbers.times(above.max())}.")


def pair_reason(found: TwoWeights, row: int, first: int, second: int) -> str:
    """Reason of the interaction: the sign of w_q·w_r·[H⁻¹]_qr, with the numbers."""
    u, v = found.weight[row, first], found.weight[row, second]
    cross = found.inverse[first, second]
    scale = math.sqrt(found.inverse[first, first] * found.inverse[second, second])
    return (rf"$w_q w_r [H^{{-1}}]_{{qr}} = {tex(u)}\cdot{tex(v)}\cdot{tex(cross)}$ is "
            f"{'positive, which makes the pair cheaper' if u * v * cross > 0 else 'negative, which makes the pair dearer'} than the other "
            f"sign would, and $[H^{{-1}}]_{{qr}}$ is {numbers.percent(abs(cross) / scale)} of the "
            "largest it could be.")


def pair_exercises(found: TwoWeights, row: int) -> list[Exercise]:
    ratio = interaction(found)
    upper = np.triu_indices(ratio.shape[1], 1)
    values = ratio[row][upper]
    most, least = int(np.argmax(values)), int(np.argmin(values))
    alone = np.diagonal(found.pair[row]).copy()
    two = np.sort(np.argsort(alone, kind="stable")[:2])
    pairs = np.where(np.triu(np.ones_like(ratio[row], dtype=bool), 1), found.pair[row], np.inf)
    best = np.unravel_index(int(np.argmin(pairs)), pairs.shape)
    agree = "the same pair" if tuple(two) == tuple(best) else "another pair"
    return [
        ("Which pair of this row costs most, and which least, relative to the sum of its two weights alone?",
         f"Inputs {upper[0][most]} and {upper[1][most]}: {numbers.times(values[most])}. Inputs {upper[0][least]} and {upper[1][least]}: "
         f"{numbers.times(values[least])}."),
        ("Are the two cheapest weights also the cheapest pair?",
         f"Alone, inputs {two[0]} and {two[1]} are cheapest; together they cost {numbers.error(found.pair[row, two[0], two[1]])}. "
         f"The cheapest pair costs {numbers.error(pairs[best])}: inputs {best[0]} and {best[1]}, {agree}."),
    ]


def steps_finding(found: Stepped, at: dict[str, int]) -> str:
    parts = [f"{label(one.method)} {numbers.share(float(one.measured[at[one.method]]) / found.energy)} "
             f"({_over(one, at[one.method])} the best for its mask)" for one in found.recordings]
    gone = {int(one.pruned[at[one.method]].sum()) for one in found.recordings}
    count = f"{min(gone)}" if len(gone) == 1 else f"{min(gone)} to {max(gone)}"
    return f"After {count} of {int(found.mask.sum())} removals the loss so far, of the output's energy: {', '.join(parts)}."


def _over(one: Recording, state: int) -> str:
    least = one.optimum[state]
    return numbers.times(max(1.0, float(one.measured[state] / least))) if least > 0 else "1.00×"


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
    own, least = parts.sum(1), parts[:, :2].sum(1)
    none, middle = found.repaired[:, 0] / found.energy, float(np.median(found.every))
    still = none[-1] <= none.min() * (1 + _TIE)
    return [
        ("Who wins with its own update, and whose mask is the best?",
         f"With its own update {_leaders(names, own[:-1])} ({numbers.share(own[:-1].min())}); the best mask is that of "
         f"{_leaders(names, least[:-1])}, which loses {numbers.share(least[:-1].min())} at least."),
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
    best = [name for name, loss in zip(names, losses, strict=False) if loss <= losses.min() * (1 + _TIE)]
    return best[0] if len(best) == 1 else f"{', '.join(best[:-1])} and {best[-1]}"


def _beside_none(found: Formulas) -> str:
    """Comparison of slip 2 with no update at all; by the numbers."""
    return "worse than no update at all" if found.loss[3] > found.loss[0] else "here no worse than no update"


def formulas_finding(found: Formulas) -> str:
    ratio, gone = found.loss / found.loss[1], int(found.gone.sum())
    return (f"{gone} of {len(found.gone)} columns go. The right formula loses {numbers.share(found.loss[1] / found.energy)} of the "
            f"output's energy, no update {numbers.times(ratio[0])} as much. Slip 1 leaves weights of {numbers.share(found.left[2])} "
            f"of the removed ones' size where 0 should be; set to 0, it loses {numbers.times(ratio[2])}. Slip 2 keeps the constraint and "
            f"loses {numbers.times(ratio[3])}: {_beside_none(found)}.")


def whole_finding(found: Formulas, layer: str) -> str:
    ratio, gone = found.loss / found.loss[1], int(found.gone.sum())
    return (f"On the whole layer {layer} ({gone} of {len(found.gone)} columns): no update {numbers.times(ratio[0])} the right formula's "
            f"loss; slip 1 leaves {numbers.share(found.left[2])} of the columns' size, and {numbers.times(ratio[2])}; slip 2 "
            f"{numbers.times(ratio[3])}, {_beside_none(found)}.")


def formulas_exercises(found: Formulas) -> list[Exercise]:
    return [
        ("How can a program find such a slip without knowing the right formula?",
         f"Two tests: the removed columns must be 0 after the update (slip 1 leaves {numbers.share(found.left[2])}), and leaving the "
         f"others alone must not be better than the update (slip 2 loses {numbers.times(found.loss[3] / found.loss[0])} what no update "
         "loses)."),
        ("For which H do all three agree?", "Where H_SK = 0: the removed inputs are uncorrelated with the others, [H⁻¹]_SK is 0 too, and "
         "nothing moves. For slip 1 then also ([H⁻¹]_SS)⁻¹ = H_SS."),
        ("One column q goes. Show that slip 2 cannot be better than no update.",
         "It moves the others by −w_q·H_qK/H_qq. Beside no update the loss changes by 2·w_q²·‖H_qK‖²/H_qq + w_q²·H_qK·H_KK·H_Kq/H_qq² a "
         "row. Neither term is negative."),
    ]


def convergence_finding(found: Convergence, layer: str) -> str:
    """After how many iterations each comes within one percent of the optimum."""
    least = found.optimum or math.nan
    parts = [_reached(trace, least) for trace in found.traces]
    return (f"{layer}, Wanda's mask: the best kept weights leave {numbers.share(found.optimum)} of the output's energy, SparseGPT's "
            f"sweep {numbers.times(found.sweep / least)} as much. Iterations until within 1 % of the optimum, of {found.iterations}: "
            f"{', '.join(parts)}.")


def _reached(trace: Trace, least: float) -> str:
    """`ADMM after 12`, or how far it is at the end."""
    count = trace.iterations_to(1.01 * least)
    return f"{DESCENTS[trace.name]} {count}" if count is not None else (
        f"{DESCENTS[trace.name]} never ({numbers.times(trace.errors[-1] / least)} at the end)")


def convergence_exercises(found: Convergence) -> list[Exercise]:
    """Exercises on the sweep's error and on the order by time."""
    beats = [(DESCENTS[trace.name], trace.iterations_to(found.sweep)) for trace in found.traces]
    told = ", ".join(f"{name} after {count}" if count is not None else f"{name} not in {found.iterations}" for name, count in beats)
    sweep = 1e3 * found.sweep_seconds
    first = sorted((trace.seconds[count], DESCENTS[trace.name]) for trace in found.traces
                   if (count := trace.iterations_to(1.1 * found.optimum)) is not None)
    clock = ", ".join(f"{name} {1e3 * seconds:.3g} ms" for seconds, name in first) or f"none in {found.iterations} iterations"
    return [
        ("After how many iterations is each no worse than SparseGPT's sweep?", f"{told}. The sweep itself takes {sweep:.3g} ms."),
        ("By the clock, who comes to within 10 % of the best, and when?", f"{clock}. Times differ from run to run; iterations do not."),
    ]


def rows_finding(found: StrongRow, row: int, count: int) -> str:
    """Energy of the row, the columns that go, the effect of keeping the strongest rows, and of keeping others."""
    start = (f"Row {row} holds {numbers.percent(float(found.shares[row]))} of the output's energy and makes up "
             f"{numbers.percent(float(found.parts[row].sum() / found.parts.sum()))} of the columns' losses. With no row dense "
             f"{_columns(found, 0)} go: error {numbers.error(found.error[0])}")
    if not count:
        return f"{start}. Raise α to leave the strongest dense."
    before, error, choices = found.error[0], found.error[count], found.choices[count]
    same = abs(error - before) <= 1e-9 * before
    change = "the same" if same else f"{numbers.percent(abs(error / before - 1))} {'lower' if error < before else 'higher'}"
    strongest = "the strongest" if count == 1 else f"the {count} strongest"
    better = int((choices.error < error * (1 - 1e-9)).sum())
    others = f"{better or 'None'} of {len(choices.error)} choices of as many rows {'is' if better <= 1 else 'are'} better."
    return (f"{start}. With {strongest} dense {_columns(found, count)} go from the others: {numbers.error(error)}, {change}. {others} "
            f"Zeros: {' and '.join(dict.fromkeys(numbers.percent(found.counted_sparsity[at]) for at in (0, count)))}.")


def _columns(found: StrongRow, count: int) -> str:
    """The columns that go while `count` rows stay."""
    gone = np.flatnonzero((found.weight[count] == 0)[~found.kept[count]].all(0)).tolist()
    return f"column{'' if len(gone) == 1 else 's'} {', '.join(map(str, gone))}"


def rows_exercises(found: StrongRow, row: int) -> list[Exercise]:
    best = int(np.argmin(found.error))
    rows = len(found.shares)
    errors = ", ".join(numbers.error(error) for error in found.error)
    turns = (f"{found.turns:g} times." if math.isfinite(found.turns) else
             f"Up to {STRENGTHS[-1]:g} times it changes nothing: the columns that it needs least go already.")
    even = f"{numbers.percent(1 / rows)}; here the strongest holds {numbers.percent(float(found.shares.max()))}"
    most = len(found.error) - 1
    return [
        (f"No row is dense. How strong must row {row} be made for other columns to go than with its own weights?", turns),
        ("How many dense rows are best for this matrix?",
         f"{best} of {rows}. With 0, 1, … rows dense the error is {errors}. If all rows had the same energy each would hold {even}."),
        ("Why can a dense row make the error greater?",
         f"The total is kept, so more columns go from the other rows. With {numbers.plural(most, 'row')} dense the others lose "
         f"{_columns(found, most)}, with none {_columns(found, 0)}."),
    ]
