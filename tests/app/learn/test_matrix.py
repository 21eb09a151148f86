"""Colors of the lessons' matrices: words that name a color are true in both themes."""

import pytest

from app.learn.charts.matrix import GONE, GONE_WORDS, KEPT


def lightness(color: str) -> int:
    return sum(int(color[at:at + 2], 16) for at in (1, 3, 5))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_removed_weights_are_called_what_they_look_like(theme):
    darker = lightness(GONE[theme]) < lightness(KEPT[theme])
    assert GONE_WORDS[theme] == ("dark grey" if darker else "light grey")
