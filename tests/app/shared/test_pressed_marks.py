"""What a pressed mark carries, as browsers send it."""

import pytest

from app.shared import state
from app.shared.pressed_marks import pressed_mark, pressed_word


@pytest.mark.parametrize(("sent", "mark", "word"), [
    (None, None, None), ({}, None, None), ({"selection": {}}, None, None), ({"selection": {"points": []}}, None, None),
    ({"selection": {"points": [{"x": 1}]}}, None, None),
    ({"selection": {"points": [{"customdata": "layer"}]}}, "layer", "layer"),
    ({"selection": {"points": [{"customdata": ["layer"]}, {"customdata": "other"}]}}, ["layer"], "layer"),
    ({"selection": {"points": [{"customdata": [0, 7]}]}}, [0, 7], 0),
    ({"selection": {"points": [{"customdata": 0}]}}, 0, 0),
    ({"selection": {"points": [{"customdata": []}]}}, [], None),
])
def test_the_first_mark_that_carries_something_counts(monkeypatch, sent, mark, word):
    monkeypatch.setattr(state, "widget", lambda _: sent)
    assert pressed_mark("a-chart") == mark
    assert pressed_word("a-chart") == word
