"""Colors and numbers of the lessons: words that name a color are true in both themes, formulas have three digits."""

import pytest

from app.learn.charts.matrix import GONE, GONE_WORDS, KEPT
from app.learn.findings.common import tex


def lightness(color: str) -> int:
    return sum(int(color[at:at + 2], 16) for at in (1, 3, 5))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_removed_weights_are_called_what_they_look_like(theme):
    darker = lightness(GONE[theme]) < lightness(KEPT[theme])
    assert GONE_WORDS[theme] == ("dark gray" if darker else "light gray")


@pytest.mark.parametrize(("value", "text"), [
    (0.02, "0.0200"), (0.0193, "0.0193"), (-0.5, "-0.500"), (12.0, "12.0"), (0, "0"), (1.5e-7, "1.50\\cdot 10^{-7}"),
    (-2e9, "-2.00\\cdot 10^{9}")])
def test_a_number_in_a_formula_has_three_digits(value, text):
    assert tex(value) == text
