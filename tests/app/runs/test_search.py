"""Search and order of the list of runs, and a row of it as HTML."""

import pytest

from app.runs import search
from app.runs.row import HEAD, row
from cache.records import RunRecord
from core.spec import Calibration, RunSpec, make_method, parse_pattern
from tests.app.examples import result

NOW = 1_790_000_000.0


def record(place, *, dense=29.0, pruned=None, sparsity=None, seconds=None, pinned=False, name="", note="", state=None, error=None, **spec):
    made = RunRecord(key=f"{place:064x}", spec=RunSpec(**spec), state=state or ("finished" if pruned else "queued"), submitted=NOW + place,
                     dense_perplexity=dense if pruned else None, pruned_perplexity=pruned, counted_sparsity=sparsity, seconds=seconds,
                     pinned=pinned, error=error)
    return made.named(name, note)


RUNS = (
    record(1, pruned=31.0, sparsity=0.5, seconds=9.0, name="Baseline for the talk", method=make_method("thanos"),
           pattern=parse_pattern("2:4")),
    record(2, dense=20.0, pruned=30.0, sparsity=0.7, seconds=1.0, method=make_method("wanda"), pattern=parse_pattern("0.7")),
    record(3, state="failed", error="Too near singular.", pinned=True, calibration=Calibration(seed=7)),
    record(4, pruned=33.0, sparsity=0.3, seconds=5.0, note="see the second plot\nof the paper", method=make_method("thanos")),
)


def places(records):
    return [int(item.key, 16) for item in records]


@pytest.mark.parametrize(("text", "expected"), [
    ("", [3, 4, 2, 1]), ("thanos", [3, 4, 1]), ("THANOS 2:4", [1]), ("talk", [1]), ("second paper", [4]), ("seed 7", [3]), ("failed", [3]),
    ("singular", [3]), ("0" * 60 + "0002", [2]), ("wanda talk", []), ("  wanda  ", [2]), ("[.*", []), ("sep 2026", [3, 4, 2, 1]),
])
def test_a_run_is_found_by_every_word_that_the_list_says_of_it(text, expected):
    assert places(search.select(RUNS, text, "Newest first")) == expected


@pytest.mark.parametrize(("order", "expected"), [
    ("Newest first", [3, 4, 2, 1]), ("Oldest first", [1, 2, 3, 4]), ("Lowest perplexity first", [2, 1, 4, 3]),
    ("Least rise of perplexity first", [1, 4, 2, 3]), ("Highest sparsity first", [2, 1, 4, 3]), ("Longest first", [1, 4, 2, 3]),
    ("no such order", [3, 4, 2, 1])])
def test_runs_without_the_number_come_last(order, expected):
    assert places(search.select(RUNS, "", order)) == expected


def test_a_row_has_a_cell_for_every_head_and_no_markup_of_a_person_s():
    html = row(record(5, pruned=31.25, sparsity=0.4996, name="<b>x</b>", note="**bold** <img src=x>\nsecond line"), NOW + 65)
    assert HEAD.count("<span") == 5
    for text in ("29.00 → 31.25", "50.0 %", "finished", "1 min ago", "&lt;b&gt;x&lt;/b&gt;", "**bold** &lt;img src=x&gt;\nsecond line"):
        assert text in html
    assert "<img" not in html
    waiting = row(record(6), NOW)
    assert waiting.count("<span") - waiting.count("ps-quiet'></span>") >= 5


def test_the_rows_to_take_away_have_names_notes_and_exact_numbers():
    first, *_ = search.rows(RUNS)
    assert (first["name"], first["key"]) == ("Baseline for the talk", f"{1:064x}")
    assert (first["pruned_perplexity"], first["counted_sparsity"]) == (31.0, 0.5)


@pytest.mark.parametrize(("name", "note", "kept"), [
    ("  two\n words\t", " a\nb \n", ("two words", "a\nb")), ("x" * 500, "y" * 5000, ("x" * 80, "y" * 1000)),
    ("a\x00b\u202ec", "\x1b[31mred", ("abc", "[31mred")), ("", "", ("", ""))])
def test_names_and_notes_are_bounded_plain_text(name, note, kept):
    named = record(7).named(name, note)
    assert (named.name, named.note) == kept
    assert RunRecord.model_validate_json(named.model_dump_json()) == named


def test_a_name_outlives_the_states_of_its_run_and_is_in_no_key():
    named = record(8).named("mine", "for later")
    later = named.begun().finished(result())
    assert (later.name, later.note, later.key) == ("mine", "for later", named.key)
    old = {name: value for name, value in record(9).model_dump(mode="json").items() if name not in ("name", "note")}
    assert RunRecord.model_validate(old).name == "", "records of earlier versions open"
