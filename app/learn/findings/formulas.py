"""Findings and exercises about three formulas for removing columns."""

from __future__ import annotations

from app.learn.findings.common import Exercise
from app.shared import numbers
from core.records.lessons import Formulas


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
