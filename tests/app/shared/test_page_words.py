"""Words of the pages: nothing in a link breaks one, every loss is said, and what is asked survives the trip through the link."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.curves import query as curves
from app.learn import query as learn
from app.masks import query as masks
from core.spec import METHODS, RunSpec, make_method
from core.spec.errors import BadInput

HOSTILE = st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str), st.sampled_from([
    "", "nan", "-1", "1e400", "9" * 500, "true", "2:4", "columns:0.9", "0.5,2:4", "wanda,thanos", "obc", "magic", "blocks", "alpha", "time",
    "../x", "\x00", "<script>", "None", "iso", "1,2,3", ",", "50%", "perplexity", "log", "thanos,thanos"]))
PAGES = {"curves": (curves.read, curves.write, curves.CODEC.words), "learn": (learn.parse, learn.to_words, learn.WORDS)}


@pytest.mark.parametrize("page", PAGES)
@given(st.data())
def test_no_link_breaks_a_page_and_every_loss_is_said(page, data):
    read, write, known = PAGES[page]
    words = data.draw(st.dictionaries(st.sampled_from((*known, "run", "unknown")), HOSTILE))
    asked, notes = read(words)
    assert read(write(asked)) == (asked, ())
    for note in notes:
        assert note.partition(":")[0] in words
        assert "cannot be used. Allowed: " in note
    if not notes and page == "curves":
        assert curves.CODEC.check(words) == (asked, ())


@pytest.mark.parametrize("page", PAGES)
def test_the_usual_page_has_no_words(page):
    read, write, _ = PAGES[page]
    asked, notes = read({})
    assert (write(asked), notes) == ({}, ())


@pytest.mark.parametrize(("words", "said"), [
    ({"tab": "nonsense"}, "tab: 'nonsense' cannot be used. Allowed: sparsity, blocks, alpha, time, shapes. Used instead: sparsity."),
    ({"methods": "wanda,wandaa"}, "methods: 'wandaa' cannot be used. Allowed: magnitude, wanda, "),
    ({"methods": ","}, "methods: '' cannot be used. Allowed: 1 to 40 values. Used instead: magnitude,"),
    ({"patterns": "0.5,2:4"}, "patterns: '0.5,2:4' cannot be used. Allowed: patterns of one kind."),
    ({"tab": "time", "patterns": "0.5,0.6"}, "patterns: '0.5,0.6' cannot be used. Allowed: one pattern. Used instead: 0.5."),
    ({"tab": "blocks", "methods": "wanda"}, "methods: 'wanda' cannot be used. Allowed: sparsegpt, thanos. Used instead: thanos."),
    ({"tab": "blocks", "block_sizes": "8,0"}, "block_sizes: '0' cannot be used. Allowed: whole numbers, 1 to 1000000."),
    ({"alphas": "0.1"}, "alphas: '0.1' cannot be used. Allowed: for the view Sparsity methods, patterns, seeds. It is left out."),
    ({"scale": "cubic"}, "scale: 'cubic' cannot be used. Allowed: "),
    ({"windows": "0"}, "windows: '0' cannot be used. Allowed: at least 1. Used instead: 128."),
    ({"seed": "3"}, "seed: '3' cannot be used. Allowed: the known words, perhaps seeds. It is left out."),
])
def test_a_word_of_the_curves_that_cannot_be_used(words, said):
    _, (note,) = curves.read(words)
    assert note.startswith(said)


def test_lists_of_the_curves_are_in_their_shortest_form():
    words = {"tab": "alpha", "methods": "thanos, thanos,wanda", "patterns": "30%", "alphas": "10%,0.10,0", "budgets": "iso", "seeds": "02",
             "model": "stories260K", "evaluation_windows": "4", "scale": "log"}
    asked, notes = curves.read(words)
    assert notes == ()
    assert asked.lists == {
        "methods": ("thanos", "wanda"), "patterns": ("0.3",), "alphas": ("0.1", "0"), "budgets": ("iso",), "seeds": ("2",)}
    assert list(curves.write(asked).items()) == [
        ("tab", "alpha"), ("model", "stories260K"), ("evaluation_windows", "4"), ("scale", "log"), ("methods", "thanos,wanda"),
        ("patterns", "0.3"), ("alphas", "0.1,0"), ("budgets", "iso"), ("seeds", "2")]


def test_every_list_of_a_view_has_its_place_in_the_link():
    assert set(curves.LIST_WORDS) == set(curves.VIEWS.words[1:])


def test_a_lesson_stays_within_its_matrix():
    lesson, notes = learn.parse({"columns": "4", "column": "20", "stop": "3", "focus": "wanda"})
    assert (lesson.column, lesson.stop) == (3, 3)
    assert [note.partition(":")[0] for note in notes] == ["focus"]


@given(st.dictionaries(st.sampled_from(masks.OTHER_WORDS), HOSTILE))
def test_no_word_of_the_other_mask_breaks_the_page(words):
    other, refused = masks.OTHERS.read(words)
    assert {item.word for item in refused} <= {"b_method"}
    found, complaints = masks.other_spec(RunSpec(), masks.OTHERS.write(other))
    assert (found is None) == bool(complaints)


@given(HOSTILE, st.integers(1, 5000))
def test_the_loupes_place_is_a_row_or_refused(text, size):
    with suppress(BadInput):
        assert 0 <= masks.read_place("row", text, size) < size


@pytest.mark.parametrize("text", ["-1", "7", "9" * 12, "x", "nan", "1.5"])
def test_a_place_outside_is_refused_with_what_is_allowed(text):
    with pytest.raises(BadInput, match=f"row: '{text}' cannot be used. Allowed: whole numbers from 0 to 6"):
        masks.read_place("row", text, 7)


def test_another_method_has_its_own_defaults():
    spec = RunSpec(method=make_method("thanos", block_size=64))
    assert masks.other_spec(spec, {"b_method": "sparsegpt"})[0].method == make_method("sparsegpt")
    assert masks.other_spec(spec, {"b_pattern": "2:4"})[0].method == spec.method
    _, (refused,) = masks.OTHERS.read({"b_method": "magic"})
    assert str(refused) == f"b_method: 'magic' cannot be used. Allowed: {', '.join(METHODS)}. It is left out."
