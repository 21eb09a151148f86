"""What the numbers of a lesson say: sentences, formulas with the numbers put in, exercises with their answers. All computed."""

from __future__ import annotations

import math

import numpy as np

from app.figures import numbers
from app.figures.lesson_masks import mask_names, shares
from app.figures.lesson_removals import interaction, order
from core.lessons.matrix import COMPARED, STEPPED, Formulas, Masks, OneWeight, Recording, Stepped, StrongRow, TwoWeights, label
from core.outlier_records import ModelPoint
from core.records import DESCENTS, Convergence, Trace

Exercise = tuple[str, str]  # question, answer
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
    ratio = found.diagonal / np.where(found.loss > 0, found.loss, 1)
    saved = int(np.argmax(np.diag(found.hessian) * np.diag(found.inverse)))
    cheapest = np.unravel_index(int(np.argmin(found.loss)), found.loss.shape)
    smallest = np.unravel_index(int(np.argmin(np.abs(found.weight))), found.weight.shape)
    same = "They are the same weight here." if cheapest == smallest else "They are not the same weight here."
    return [
        ("Which weight costs least, and which is the smallest?",
         f"Cheapest: row {cheapest[0]}, input {cheapest[1]}, loss {numbers.error(found.loss[cheapest])}. Smallest: row {smallest[0]}, "
         f"input {smallest[1]}, loss {numbers.error(found.loss[smallest])}. {same}"),
        ("For which input does compensation help most, and is it the same input in every row?",
         f"Input {saved}: it saves {numbers.percent(1 - 1 / float(ratio[0, saved]))}. The share is the same in every row, because "
         "H_qq·[H⁻¹]_qq depends on the inputs alone."),
        ("When do the diagonal score and the loss order all weights alike?",
         f"When H is diagonal: then [H⁻¹]_qq = 1/H_qq. Here their rank agreement is {found.agreement['diagonal']:.3f}."),
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
    """Why: the sign of w_q·w_r·[H⁻¹]_qr, with the numbers."""
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
        ("Which pair of this row is dearest, and which cheapest, beside the sum of its two?",
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
    return f"After {count} of {int(found.mask.sum())} removals the loss so far is: {', '.join(parts)}."


def _over(one: Recording, state: int) -> str:
    least = one.optimum[state]
    return numbers.times(max(1.0, float(one.measured[state] / least))) if least > 0 else "1.00×"


def steps_exercises(found: Stepped) -> list[Exercise]:
    by_name = {one.method: one for one in found.recordings}
    sweep, thanos, obc = (by_name[name] for name in STEPPED)
    frozen = sum(int((~sweep.pruned[-1][:, :count]).sum()) for count in sweep.frozen[-2:-1])
    shared = int((sweep.pruned[-1] & obc.pruned[-1]).sum())
    return [
        ("OBC never leaves anything on the table for its mask. Why do the others?",
         f"A block, once passed, is frozen: before SparseGPT's last block {frozen} kept weights could no longer move. Its end is "
         f"{_over(sweep, sweep.last)} the best for its mask, Thanos's {_over(thanos, thanos.last)}, OBC's {_over(obc, obc.last)}."),
        ("How many of their removed weights do SparseGPT and OBC share?", f"{shared} of {int(sweep.pruned[-1].sum())}."),
    ]


def blocks_finding(found: Stepped, block: int) -> str:
    loss = found.block_loss
    falls = bool((np.diff(loss) <= 1e-12 * loss[0]).all())
    shape = ("It falls with every step of B." if falls else
             "It does not fall at every step, for it matters too where blocks end: only B = b is sure to be best.")
    first, now, last = (numbers.share(float(loss[at]) / found.energy) for at in (0, block - 1, -1))
    return (f"For this one mask the update loses {first} of the output's energy at B = 1, which is SparseGPT's, {now} at B = {block}, and "
            f"{last} at B = {len(loss)}, the optimum. {shape}")


def masks_finding(found: Masks, chosen: int, row: int) -> str:
    name, (floor, mask, update) = mask_names()[chosen], shares(found)[chosen]
    ways = numbers.count(len(found.every))
    start = (f"Row {row}: {found.count} of its {len(found.weight)} weights go, which can be done in {ways} ways. The best loses "
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
    by_own, by_mask = int(np.argmin(own[:-1])), int(np.argmin(least[:-1]))
    none, middle = found.repaired[:, 0] / found.energy, float(np.median(found.every))
    return [
        ("Who wins with its own update, and whose mask is the best?",
         f"With its own update {names[by_own]} ({numbers.share(own[by_own])}); the best mask is that of {names[by_mask]}, "
         f"{numbers.share(least[by_mask])} at least."),
        ("If no weight may move, is the best mask still the best?",
         f"Without update the best of all masks loses {numbers.share(none[-1])}, and {names[int(np.argmin(none))]}'s "
         f"{numbers.share(none.min())}. A mask is good for an update, not by itself."),
        ("How bad is a mask drawn by lot?",
         f"The median of all {numbers.count(len(found.every))} masks loses {numbers.share(middle / found.energy)} even with the best "
         f"update: {numbers.times(middle / float(found.every[0]))} the best mask."),
    ]


def formulas_finding(found: Formulas) -> str:
    ratio, gone = found.loss / found.loss[1], int(found.gone.sum())
    worse = "worse than no update at all" if ratio[3] > ratio[0] else "better than no update"
    return (f"{gone} of {len(found.gone)} columns go. The right formula loses {numbers.share(found.loss[1] / found.energy)} of the "
            f"output's energy, no update {numbers.times(ratio[0])} as much. Slip 1 leaves weights of {numbers.share(found.left[2])} "
            f"of the removed ones' size where 0 should be; set to 0, it loses {numbers.times(ratio[2])}. Slip 2 keeps the constraint and "
            f"loses {numbers.times(ratio[3])}: {worse}.")


def whole_finding(found: Formulas, layer: str) -> str:
    ratio, gone = found.loss / found.loss[1], int(found.gone.sum())
    return (f"On the whole layer {layer} ({gone} of {len(found.gone)} columns): no update {numbers.times(ratio[0])} the right formula's "
            f"loss, slip 1 {numbers.times(ratio[2])}, slip 2 {numbers.times(ratio[3])}.")


def formulas_exercises(found: Formulas) -> list[Exercise]:
    return [
        ("How can a program find such a slip without knowing the right formula?",
         f"Two tests: the removed columns must be 0 after the update (slip 1 leaves {numbers.share(found.left[2])}), and leaving the "
         f"others alone must not be better than the update (slip 2 loses {numbers.times(found.loss[3] / found.loss[0])} what no update "
         "loses). The tests of this program do both."),
        ("For which H do the right formula and slip 2 agree?", "For a diagonal H: [H⁻¹]_SK and H_SK are 0, and nothing moves."),
    ]


def convergence_finding(found: Convergence, layer: str) -> str:
    """After how many iterations each comes within one percent of the optimum."""
    least = found.optimum or math.nan
    parts = [_reached(trace, least) for trace in found.traces]
    return (f"{layer}, Wanda's mask: the best kept weights leave {numbers.share(found.optimum)} of the output's energy, SparseGPT's "
            f"sweep {numbers.times(found.sweep / least)} as much. To within 1 % of the best come, in {found.iterations} iterations: "
            f"{', '.join(parts)}.")


def _reached(trace: Trace, least: float) -> str:
    """`ADMM after 12`, or how far it is at the end."""
    count = trace.iterations_to(1.01 * least)
    return f"{DESCENTS[trace.name]} after {count}" if count is not None else (
        f"{DESCENTS[trace.name]} not ({numbers.times(trace.errors[-1] / least)} at the end)")


def rows_finding(found: StrongRow, row: int, count: int) -> str:
    error, by_lot = found.error[count], found.random[count]
    start = (f"Row {row} holds {numbers.percent(float(found.shares[row]))} of the output's energy. With no row dense the error is "
             f"{numbers.error(found.error[0])}")
    if not count:
        return f"{start}: raise α to leave the strongest dense."
    lot = f"; with as many rows by lot, {numbers.error(float(np.mean(by_lot)))} (mean of {len(by_lot)})" if by_lot else ""
    strongest = "strongest row" if count == 1 else f"{count} strongest rows"
    change = "lower" if error < found.error[0] else "higher"
    return (f"{start}; with the {strongest} dense it is {numbers.error(error)}, {change} by "
            f"{numbers.percent(abs(error / found.error[0] - 1))}{lot}. The share of zeros is {numbers.percent(found.counted_sparsity[0])} "
            f"and {numbers.percent(found.counted_sparsity[count])}.")


def rows_exercises(found: StrongRow) -> list[Exercise]:
    best = int(np.argmin(found.error))
    rows = len(found.shares)
    even = (f"If all rows had the same energy each would hold {numbers.percent(1 / rows)}; here the strongest holds "
            f"{numbers.percent(float(found.shares.max()))}.")
    return [
        ("How many dense rows are best for this matrix?",
         f"{best} of {rows}: error {numbers.error(found.error[best])}, against {numbers.error(found.error[0])} with none. {even}"),
        ("Why can a dense row make the error greater?",
         f"The total is kept, so more columns go from the other rows. With {numbers.plural(len(found.error) - 1, 'row')} dense the others "
         f"lose {int((found.weight[-1] == 0)[~found.kept[-1]].all(0).sum())} of {found.before.shape[1]} columns, with none "
         f"{int((found.weight[0] == 0).all(0).sum())}."),
    ]


def perplexity_finding(none: ModelPoint, strongest: ModelPoint, random: ModelPoint) -> str:
    before, kept, lot = (point.pruned.perplexity for point in (none, strongest, random))
    alpha = f"{100 * strongest.alpha:.3g} %"
    if not strongest.alpha:
        return f"The whole demo model, estimated: perplexity {numbers.perplexity(before)} with no row dense in any layer."
    verdict = ("keeping the strongest helps, and more than keeping any" if kept < before and kept < lot else
               "it helps, but random rows do as well" if kept < before else "it does not help here")
    return (f"The whole demo model, every layer so, estimated: perplexity {numbers.perplexity(before)} with no row dense, "
            f"{numbers.perplexity(kept)} with the strongest {alpha}, {numbers.perplexity(lot)} with {alpha} by lot: {verdict}.")
