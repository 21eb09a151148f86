"""Addresses that stay as they are: each rewriting is an entry in the browser's history, from which Back comes to the page again."""

import pytest

from app.compare import query as compare
from app.learn import query as learn
from app.learn.query import Lesson


class Address(dict):
    """Stands in for `st.query_params`; counts what is written."""

    written = 0

    def to_dict(self):
        return dict(self)

    def from_dict(self, words):
        self.written += 1
        self.clear()
        self.update(words)


@pytest.fixture
def address(monkeypatch):
    found = Address()
    for module in (compare, learn):
        monkeypatch.setattr(module.st, "query_params", found)
    return found


@pytest.mark.parametrize(("words", "lesson", "written"), [
    ({"stop": "2"}, Lesson(stop=2), False),
    ({"stop": "2", "row": "1"}, Lesson(stop=2, row=1), False),
    ({"stop": "2"}, Lesson(stop=2, row=1), True),
    ({"stop": "2", "nonsense": "1"}, Lesson(stop=2), True),
    ({}, Lesson(), False),
    ({}, Lesson(stop=2), True),
])
def test_learn_writes_its_address_where_it_says_something_else(address, words, lesson, written):
    address.update(words)
    learn.write(lesson)
    assert bool(address.written) == written
    assert learn.parse(address) == (lesson, ())


def test_compare_leaves_a_bare_address_that_means_what_is_shown(address, monkeypatch):
    monkeypatch.setattr(compare, "_first", lambda: ("gallery:a", "gallery:b"))
    for words, written in (("gallery:a", "gallery:b"), 0), (("gallery:a", "gallery:c"), 1), (("gallery:a", "gallery:b"), 2):
        compare.write(compare.Choice(runs=tuple(compare.Chosen(word=word, result=None) for word in words), notes=()))
        assert address.written == written
