"""Counts in exact fractions, words both ways, and refusals that say what to do."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.spec.errors import BadInput, input_errors
from core.spec.patterns import (
    Blocks,
    Columns,
    Entries,
    Groups,
    Neurons,
    Pattern,
    SemiStructured,
    Structured,
    Unstructured,
    outlier_count,
    parse_pattern,
    pattern_word,
)

sizes = st.integers(1, 40)
thousandths = st.integers(0, 999)
hundredths = st.integers(0, 99)


def refusal(make, *arguments, **values) -> BadInput:
    """The one complaint that a bad value raises, whichever way it is raised."""
    with pytest.raises((BadInput, ValidationError)) as caught:
        make(*arguments, **values)
    if isinstance(caught.value, BadInput):
        return caught.value
    (found,) = input_errors(caught.value)
    return found


# Counts.


@given(rows=sizes, columns=sizes, p=thousandths, alpha=hundredths)
def test_entries_are_the_floor_over_the_active_rows(rows, columns, p, alpha):
    active = rows - math.ceil(Fraction(alpha, 100) * rows)
    target = Unstructured(sparsity=p / 1000, outlier_rows=alpha / 100).target(rows, columns)
    assert target == Entries(count=math.floor(Fraction(p, 1000) * active * columns))


@given(rows=sizes, columns=sizes, p=thousandths, alpha=hundredths)
def test_iso_entries_are_the_floor_over_all_rows_where_they_fit(rows, columns, p, alpha):
    if p / 1000 > 1 - alpha / 100:
        return
    active = rows - math.ceil(Fraction(alpha, 100) * rows)
    target = Unstructured(sparsity=p / 1000, outlier_rows=alpha / 100, alpha_budget="iso").target(rows, columns)
    assert target == Entries(count=min(math.floor(Fraction(p, 1000) * rows * columns), active * columns))


@given(rows=sizes, columns=sizes, p=thousandths, alpha=hundredths)
def test_columns_are_the_ceiling_that_keeps_p(rows, columns, p, alpha):
    if p / 1000 > 1 - alpha / 100:
        return
    target = Structured(sparsity=p / 1000, outlier_rows=alpha / 100).target(rows, columns)
    assert target == Columns(count=math.ceil(Fraction(p, 1000) * columns / (1 - Fraction(alpha, 100))))
    assert 0 <= target.count <= columns


@given(rows=st.integers(0, 5000), alpha=hundredths)
def test_outlier_rows_are_the_ceiling(rows, alpha):
    assert outlier_count(rows, alpha / 100) == math.ceil(Fraction(alpha, 100) * rows)


@pytest.mark.parametrize(("p", "rows", "columns"), [
    (0.3, 1, 10), (0.7, 10, 10), (0.29, 10, 10), (0.57, 100, 1), (0.5, 4096, 4096), (0.7, 5120, 5120), (0.15, 13992, 8000),
    (0.3, 11008, 4096), (0.6, 28672, 8192), (0.15, 28672, 10000),
])
def test_counts_are_exact_on_small_and_on_very_large_layers(p, rows, columns):
    assert Unstructured(sparsity=p).target(rows, columns).count == math.floor(Fraction(str(p)) * rows * columns)


@given(m=st.integers(1, 16), data=st.data())
def test_groups_take_n_of_every_m(m, data):
    n = data.draw(st.integers(0, m))
    assert SemiStructured(n=n, m=m).target(3, 16) == Groups(n=n, m=m)


@pytest.mark.parametrize(("n", "m", "alpha", "active"), [
    (2, 4, 0.5, 4), (2, 4, 0.0, 2), (9, 20, 0.1, 10), (0, 4, 0.3, 0), (3, 5, 0.25, 4),
])
def test_iso_groups_prune_the_active_rows_harder(n, m, alpha, active):
    pattern = SemiStructured(n=n, m=m, outlier_rows=alpha, alpha_budget="iso")
    assert pattern.target(8, 40) == Groups(n=active, m=m)
    assert SemiStructured(n=n, m=m, outlier_rows=alpha).target(8, 40) == Groups(n=n, m=m)


# Words.


@pytest.mark.parametrize(("word", "pattern"), [
    ("0.5", Unstructured(sparsity=0.5)), ("50%", Unstructured(sparsity=0.5)), (" 50 % ", Unstructured(sparsity=0.5)),
    (".25", Unstructured(sparsity=0.25)), ("0", Unstructured(sparsity=0.0)), ("1e-3", Unstructured(sparsity=0.001)),
    ("2:4", SemiStructured(n=2, m=4)), ("0:8", SemiStructured(n=0, m=8)), ("8:8", SemiStructured(n=8, m=8)),
    ("columns:0.3", Structured(sparsity=0.3)), ("COLUMNS:30%", Structured(sparsity=0.3)),
    ("blocks:2", Blocks(count=2)), ("block:1", Blocks(count=1)),
    ("neurons:30%", Neurons(sparsity=0.3)), ("blocks:25%", Blocks(sparsity=0.25)),
])
def test_words_are_read(word, pattern):
    assert parse_pattern(word) == pattern


def test_alpha_and_its_budget_travel_with_a_word():
    assert parse_pattern("0.5", alpha=0.1, alpha_budget="iso") == Unstructured(sparsity=0.5, outlier_rows=0.1, alpha_budget="iso")
    assert parse_pattern("2:4", alpha=0.5, alpha_budget="iso").target(4, 8) == Groups(n=4, m=4)
    assert parse_pattern("columns:0.3", alpha=0.1) == Structured(sparsity=0.3, outlier_rows=0.1)


any_pattern = st.one_of(
    st.builds(lambda p: Unstructured(sparsity=p), st.floats(0, 1, exclude_max=True)),
    st.builds(lambda p: Structured(sparsity=p), st.floats(0, 1, exclude_max=True)),
    st.builds(lambda p: Neurons(sparsity=p), st.floats(0, 1, exclude_max=True)), st.builds(lambda n: Blocks(count=n), st.integers(0, 100)),
    st.builds(lambda p: Blocks(sparsity=p), st.floats(1e-6, 0.999)),
    st.integers(1, 1024).flatmap(lambda m: st.builds(lambda n: SemiStructured(n=n, m=m), st.integers(0, m))),
)


@given(pattern=any_pattern)
def test_words_go_round(pattern):
    assert parse_pattern(pattern_word(pattern)) == pattern


@given(pattern=any_pattern)
def test_json_goes_round(pattern):
    adapter = TypeAdapter(Pattern)
    assert adapter.validate_json(adapter.dump_json(pattern)) == pattern


# Refusals: field, value, what is allowed, what to do.


@pytest.mark.parametrize("word", ["", "half", "0.5:0.2", "2:4:8", "columns:", "rows:0.3", "%", "0x5", "--1", "nan", "2.5:4"])
def test_a_word_of_another_form_is_refused_with_the_forms(word):
    with pytest.raises(BadInput) as caught:
        parse_pattern(word)
    assert caught.value.field == "pattern"
    assert caught.value.value == word
    for form in ("50%", "2:4", "columns:0.3"):
        assert form in str(caught.value)


@given(word=st.one_of(st.text(max_size=12), st.text("0123456789.:%e-", max_size=8)))
@example(word="1" * 5000 + ":4")
@example(word="2:" + "9" * 5000)
@example(word="9" * 5000)
def test_nonsense_is_read_or_refused_and_nothing_else(word):
    try:
        pattern = parse_pattern(word)
    except (BadInput, ValidationError):
        return
    assert isinstance(pattern, Unstructured | SemiStructured | Structured)


@pytest.mark.parametrize(("word", "field", "allowed"), [
    ("1", "sparsity", "less than 1"), ("-0.1", "sparsity", "at least 0"), ("150%", "sparsity", "less than 1"),
    ("columns:1", "sparsity", "less than 1"), ("columns:-5%", "sparsity", "at least 0"), ("1e999", "sparsity", "less than 1"),
    ("5:4", "n", "0 to m = 4"), ("0:0", "m", "at least 1"), ("2:5000", "m", "at most 1024"),
])
def test_a_word_out_of_range_names_field_value_and_range(word, field, allowed):
    found = refusal(parse_pattern, word)
    assert found.field == field
    assert allowed in str(found)
    assert str(found).startswith(f"{field}: ")


@pytest.mark.parametrize("kind", [Unstructured, Structured])
@pytest.mark.parametrize(("field", "value"), [
    ("sparsity", 1.0), ("sparsity", -0.01), ("sparsity", math.nan), ("sparsity", math.inf), ("sparsity", "much"),
    ("outlier_rows", 1.0), ("outlier_rows", -0.5), ("outlier_rows", math.nan),
])
def test_values_out_of_range_are_refused(kind, field, value):
    assert refusal(kind, **{field: value}).field == field


@pytest.mark.parametrize(("make", "values", "field", "words"), [
    (Unstructured, {"sparsity": 0.9, "outlier_rows": 0.2, "alpha_budget": "iso"}, "outlier_rows", ("0.2", "at most", "paper")),
    (Structured, {"sparsity": 0.9, "outlier_rows": 0.2}, "outlier_rows", ("0.2", "at most", "lower")),
    (SemiStructured, {"n": 5, "m": 4}, "n", ("5", "0 to m = 4", "lower n")),
    (SemiStructured, {"n": 2, "m": 4, "outlier_rows": 0.1, "alpha_budget": "iso"}, "outlier_rows",
     ("0.1", "2:4 (45.0 % counted)", "3:4 (67.5 % counted)", "paper")),
    (SemiStructured, {"n": 3, "m": 4, "outlier_rows": 0.5, "alpha_budget": "iso"}, "outlier_rows", ("0.5", "4:4 (50.0 % counted)")),
    (Unstructured, {"alpha_budget": "fair"}, "alpha_budget", ("fair", "paper", "iso")),
])
def test_combinations_that_cannot_be_are_refused_with_a_remedy(make, values, field, words):
    found = refusal(make, **values)
    assert found.field == field
    assert all(word in str(found) for word in words), str(found)


def test_groups_wider_than_the_layer_are_refused():
    found = refusal(SemiStructured(n=2, m=8).target, 4, 7)
    assert (found.field, found.value) == ("m", 8)
    assert "1 to 7" in found.allowed


def test_patterns_are_frozen_and_know_no_other_fields():
    with pytest.raises(ValidationError):
        Unstructured(sparsity=0.5).sparsity = 0.6
    assert refusal(Structured, sparsity=0.3, alpha_budget="iso").field == "alpha_budget"


@pytest.mark.parametrize(("rows", "alpha", "count"), [(100, 0.07, 7), (100, 0.14, 14), (100, 0.29, 29), (3, 0.1, 1), (10, 0.1, 1)])
def test_alpha_counts_rows_as_it_is_written(rows, alpha, count):
    """0.07·100 is 7.000000000000001 in binary arithmetic."""
    assert outlier_count(rows, alpha) == count


@pytest.mark.parametrize(("sparsity", "alpha"), [(0.7, 0.3), (0.5, 0.5), (0.9, 0.1)])
def test_the_active_rows_may_hold_exactly_all_zeros(sparsity, alpha):
    assert Unstructured(sparsity=sparsity, outlier_rows=alpha, alpha_budget="iso").target(10, 8).count == round(80 * sparsity)
