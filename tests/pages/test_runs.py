"""Runs without a browser: the list, its pages, and what can be done about a run."""

import time

import pytest

from app.figures import numbers
from app.ui.listing import PAGE
from cache.records import RunRecord
from core.spec import Calibration, RunSpec
from tests.pages.conftest import SMALL, link, said

pytestmark = pytest.mark.usefixtures("without_workers")


def rows(page):
    bodies = [item.proto.body for item in page.main if item.type == "html"]
    return [body for body in bodies if "ps-row" in body and "ps-head" not in body]


def test_an_empty_list_says_what_it_will_show(visit):
    page = visit("runs")
    assert "Here you will find every run" in said(page)
    assert not rows(page)


def test_every_state_is_told(visit, keep, small_result):
    keep(small_result)
    keep(spec=SMALL.model_copy(update={"refit": True}), state="failed", error="<b>because</b>")
    keep(spec=SMALL.model_copy(update={"true_sequential": True}), state="cancelled")
    keep(spec=SMALL.model_copy(update={"device": "cpu"}), state="queued")
    page = visit("runs")
    text = "\n".join(rows(page))
    assert f"{numbers.perplexity(small_result.dense.perplexity)} → {numbers.perplexity(small_result.pruned.perplexity)}" in text
    assert "&lt;b&gt;because" in text
    for state in ("finished", "failed", "cancelled", "queued"):
        assert f">{state}<" in text
    assert page.get("progress")[0].proto.text == "Waiting, number 1 in the queue"


def test_open_goes_to_explore_with_the_key(visit, keep, small_result):
    key = keep(small_result)
    page = visit("runs")
    page.button(key=f"open-{key}").click().run()
    assert link(page)["run"] == key
    assert "What does this pruning do" in said(page)


def _choose(page, key, action):
    next(item for item in page.get("menu_button") if item.key == f"more-{key}").set_value(action).run()


def test_a_waiting_run_can_be_cancelled_and_pinned(visit, keep, store):
    key = keep(spec=SMALL, state="queued")
    page = visit("runs")
    _choose(page, key, "Pin")
    assert store.record(key).pinned
    _choose(page, key, "Cancel")
    assert store.record(key).state == "cancelled"
    _choose(page, key, "Unpin")
    assert not store.record(key).pinned


@pytest.mark.parametrize(("answer", "stays"), [("delete-no", True), ("delete-yes", False)])
def test_deleting_asks_first(visit, keep, store, answer, stays):
    key = keep(spec=SMALL, state="failed", error="because")
    page = visit("runs")
    _choose(page, key, "Delete")
    assert store.record(key) is not None
    page.button(key=answer).click().run()
    assert (store.record(key) is not None) == stays
    assert len(rows(page)) == stays


def test_filters_show_one_state(visit, keep, small_result):
    keep(small_result)
    keep(spec=SMALL.model_copy(update={"refit": True}), state="failed", error="because")
    page = visit("runs")
    page.get("button_group")[0].set_value("Failed").run()
    assert len(rows(page)) == 1
    assert "because" in rows(page)[0]


def test_five_hundred_runs_are_paged(visit, store):
    for number in range(500):
        spec = RunSpec(calibration=Calibration(seed=number))
        store.put_record(RunRecord(key=f"{number:064x}", spec=spec, state="cancelled", submitted=time.time() - number))
    page = visit("runs")
    assert len(rows(page)) == PAGE
    assert "seed 24<" in rows(page)[-1]
    pages = page.get("pagination")[0]
    pages.set_value(20).run()
    assert "seed 499<" in rows(page)[-1]


def test_words_in_its_link_are_told_and_leave_it(visit):
    page = visit("runs")
    assert "Not everything" not in said(page)
    page.query_params["run"] = "zzz"
    page.run()
    assert "'run' means nothing here" in said(page)
    assert link(page) == {}
    page.button(key="dismiss").click().run()
    assert "Not everything" not in said(page)
