"""Compare without a browser: choosing by link and by marks, what differs, what is told of words that name no run."""

import json
import time
from datetime import UTC, datetime

import pytest

from app.compare import controls, overlaps, query
from app.shared import numbers, resources
from core.records import Finished, RunResult
from core.spec import make_method
from tests.pages.conftest import SMALL, charts, link, said

pytestmark = pytest.mark.usefixtures("without_workers")


@pytest.fixture(scope="session")
def other_result() -> RunResult:
    """A real run that differs from the small one in its method alone."""
    from core import prune

    spec = SMALL.model_copy(update={"method": make_method("wanda")})
    (result,) = (event.result for event in prune(spec) if isinstance(event, Finished))
    return result


@pytest.fixture
def both(keep, small_result, other_result) -> tuple[str, str]:
    return keep(small_result), keep(other_result)


@pytest.fixture
def compare(visit):
    """compare("KEY,gallery:NAME"): the page as a link opens it."""
    def open_page(runs=""):
        return visit("compare", words={"runs": runs} if runs else {})

    return open_page


def test_a_first_visit_compares_two_shipped_runs(compare):
    page = compare()
    assert link(page) == {}  # the address that was entered means them, and stays
    assert "only the method differs" in said(page)
    assert "SparseGPT" in said(page)
    assert len(charts(page)) == 2
    assert not page.warning


def test_a_link_sets_runs_of_the_store_and_the_gallery_side_by_side(compare, both, small_result, other_result):
    page = compare(f"{both[0]},{both[1]}")
    text = said(page)
    for result in (small_result, other_result):
        assert f"{numbers.perplexity(result.dense.perplexity)} → {numbers.perplexity(result.pruned.perplexity)}" in text
    assert "only the method differs" in text
    assert "Not everything in this link" not in text
    assert link(page) == {"runs": ",".join(both)}
    drawn = {name for trace in json.loads(charts(page)[1])["data"] if (name := trace.get("name"))}
    assert {"Thanos", "Wanda"} <= drawn
    mixed = said(compare(f"{both[0]},gallery:thanos-0.5"))
    assert "Perplexities are not measured alike" in mixed
    assert "Calibrated differently" in mixed


@pytest.mark.parametrize(("word", "told"), [
    ("0" * 64, "is not in this store"), ("<b>x", "'<b>x' names no run"), ("../../etc", "names no run"),
    ("gallery:none", "'none' is not in the gallery. There are: thanos-0.5"),
])
def test_words_that_name_no_run_are_told_with_what_there_is(compare, both, word, told):
    page = compare(f"{','.join(both)},{word}")
    assert "Not everything in this link could be used" in said(page)
    assert told in said(page)
    assert not any("<b>" in item.proto.body for item in page.main if item.type == "html")
    page.button(key="dismiss").click().run()
    assert "Not everything in this link" not in said(page)
    assert link(page) == {"runs": ",".join(both)}


def test_more_than_six_and_words_of_other_pages_are_told(compare):
    names = [f"gallery:{name}" for name in list(resources.shipped())[:8]]
    page = compare(",".join(names))
    assert "At most 6 runs stand side by side; 2 more are left out" in said(page)
    assert link(page)["runs"].split(",") == names[:6]
    assert "1 more is left out" in said(compare(",".join(names[:7])))


def test_a_run_that_is_not_finished_says_so(compare, both, keep):
    waiting = keep(spec=SMALL.model_copy(update={"refit": True}), state="cancelled")
    assert "was canceled: open it on the Runs page and run it again" in said(compare(f"{','.join(both)},{waiting}"))


def test_a_failed_run_says_which_it_is_and_why(compare, keep, small_result):
    failed = keep(spec=SMALL.model_copy(update={"refit": True}), state="failed", error="<b>Too near singular.</b> Raise the damping.")
    page = compare(f"{keep(small_result)},{failed}")
    text = said(page)
    assert f"demo · Thanos · 50 % of the weights · B = 128 · exact refit (run {failed[:8]}) failed. <b>Too near singular.</b>" in text
    assert "Raise the damping. Open it on the Runs page, change that" in text
    assert "One more run is needed" in text
    assert not any("<b>Too" in item.proto.body for item in page.main if item.type == "html")


def test_an_empty_comparison_has_a_button_that_fills_it(compare):
    page = compare("0" * 64)
    assert "No runs to compare" in said(page)
    page.button(key="compare-shipped").click().run()
    assert "only the method differs" in said(page)
    assert link(page) == {}  # which means them


def test_a_run_deleted_meanwhile_leaves_and_is_told(compare, both, store):
    page = compare(",".join(both))
    store.delete(both[1])
    page.run()
    assert "One more run is needed" in said(page)
    assert "is not in this store" in said(page)
    assert link(page) == {"runs": both[0]}


def test_runs_are_taken_out_and_groups_of_the_gallery_chosen(compare, both):
    page = compare(",".join(both))
    page.button(key=f"remove-{both[0]}").click().run()
    assert "One more run is needed" in said(page)
    page.button(key="group-2-4").click().run()
    assert len(link(page)["runs"].split(",")) == 6
    assert "only the method differs" in said(page)


def picks(page):
    """The list of what is picked: a new one each time that marks in the table change it."""
    return next(item for item in page.multiselect if item.label == "Runs to compare")


def test_the_table_of_runs_offers_all_and_searches(compare, both):
    page = compare(",".join(both))
    page.button(key="choose").click().run()
    table = page.dataframe[0].value
    assert len(table) == 2 + len(resources.shipped())
    assert page.button(key="compare-picked").label == "Compare"
    page.text_input(key="find").set_value("wanda 2:4").run()
    assert list(page.dataframe[0].value["run"]) == ["demo · Wanda · 2:4"]
    assert picks(page).value == list(both)  # what the search hides stays picked


def test_a_search_for_a_pattern_finds_no_time_of_the_day():
    offer = controls._Offer(word="0", name="0", row={"run": "demo · Wanda", "ended": datetime(2026, 11, 22, 22, 47, tzinfo=UTC)})
    assert offer.fits(["2026-11-22", "wanda"])
    assert not offer.fits(["2:4"])


def test_runs_are_chosen_from_the_list_as_by_marks(compare, both):
    page = compare(",".join(both))
    page.button(key="choose").click().run()
    shipped = [f"{query.SHIPPED}{name}" for name in resources.shipped()]
    offered = picks(page)
    assert len(set(offered.options)) == len(both) + len(shipped)
    offered.set_value([*both, *shipped[:5]]).run()
    told = [item.proto.body for item in page.get("html")]  # a dialog stands beside the main column
    assert any(f"7 of {len(both) + len(shipped)} runs; choose 2 to 6" in text for text in told)
    assert page.button(key="compare-picked").disabled
    marked = page.session_state["offers"]["selection"]["rows"]
    assert len(marked) == 7
    picks(page).set_value([shipped[3], both[0]]).run()
    rows = page.session_state["offers"]["selection"]["rows"]
    assert list(page.dataframe[0].value["from"].iloc[rows]) == ["runs", "shipped"]
    page.button(key="compare-picked").click().run()
    assert link(page) == {"runs": f"{shipped[3]},{both[0]}"}


@pytest.mark.parametrize(("marks", "seconds", "expected"), [
    ([0, 1], 0.1, "abc"),  # what the table had before it was told of c: the browser has not drawn it yet
    ([0, 1, 2], 0.1, "abc"), ([0, 2], 0.1, "ac"), ([0, 1, 2, 3], 0.1, "abcd"), ([], 0.1, ""),
    ([0, 1], 2.0, "ab"),  # a person has taken c away
])
def test_a_late_mark_takes_nothing_away_that_the_list_has_set(monkeypatch, marks, seconds, expected):
    kept = {"picked": tuple("abc"), "shown": tuple("abcd"), "told": (time.monotonic() - seconds, [0, 1])}
    monkeypatch.setattr(controls, "_marks", lambda: marks)
    monkeypatch.setattr(controls.state, "recall", kept.get)
    monkeypatch.setattr(controls.state, "remember", kept.__setitem__)
    controls._mark()
    assert "".join(kept["picked"]) == expected


def test_runs_asked_for_alike_have_names_of_their_own(small_result, compare, store, both):
    record = store.record(both[0])
    again = "ab" * 32
    store.put_result(again, small_result)
    store.put_record(record.model_copy(update={"key": again}))
    page = compare(",".join(both))
    page.button(key="choose").click().run()
    options = picks(page).options
    assert len(set(options)) == len(options)
    assert sum(option.endswith(f"run {key[:8]}") for option in options for key in (again, both[0])) == 2


def test_the_layers_are_a_table_and_the_recipes_are_there(compare, both, small_result):
    page = compare(",".join(both))
    page.session_state["compared-details"] = "Every layer"
    page.run()
    assert list(page.dataframe[0].value["layer"]) == [layer.name for layer in small_result.layers]
    assert list(page.dataframe[0].value["Thanos"]) == [layer.relative_error for layer in small_result.layers]
    page.session_state["compared-details"] = "Repeat it, take it away"
    page.run()
    assert [code.value.split("--method ")[1].split()[0] for code in page.code] == ["thanos", "wanda"]
    assert {"Report as HTML", "Runs as JSON"} <= {item.proto.label for item in page.get("download_button")}


def test_masks_say_which_runs_have_none(compare, both):
    page = compare(f"{both[0]},gallery:thanos-0.5")
    page.session_state["compared-details"] = "Masks"
    page.run()
    assert "No pruned weights are kept of" in said(page)
    assert "Run the same on the Explore page" in said(page)
    assert not page.exception


def test_the_report_says_which_masks_it_cannot_compare(both, request):
    request.addfinalizer(resources.close)
    html = overlaps.report_of(query.look([*both, "gallery:thanos-0.5"]))()
    assert "Which weights went?" in html
    assert html.count("No pruned weights are kept of") == 1


def test_marks_on_the_runs_page_lead_to_the_comparison(visit, both):
    page = visit("runs")
    page.checkbox(key=f"mark-{both[0]}").check().run()
    assert page.button(key="compare-marked").disabled
    page.checkbox(key=f"mark-{both[1]}").check().run()
    assert "2 runs marked to compare" in said(page)
    page.button(key="compare-marked").click().run()
    assert "2 runs of demo" in said(page)
    assert link(page) == {"runs": ",".join(both)}
    page.switch_page("../pages/runs.py").run()
    page.button(key="clear-marked").click().run()
    assert "marked to compare" not in said(page)
    assert not page.checkbox(key=f"mark-{both[0]}").value
