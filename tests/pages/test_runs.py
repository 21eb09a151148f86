"""Runs without a browser: the list, its pages, and what can be done about a run."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from app.runs.listing import PAGE
from app.shared import numbers, resources, run_progress
from app.shared.findings import wording
from app.workers.progress import RunProgress
from cache.records import RunRecord
from core.records import Progress
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
    for state in ("finished", "failed", "canceled", "queued"):
        assert f">{state}<" in text
    assert page.get("progress")[0].proto.text == "Waiting, number 1 in the queue, begins as soon as a worker is free"


def test_open_goes_to_explore_with_the_key(visit, keep, small_result):
    key = keep(small_result)
    page = visit("runs")
    page.button(key=f"open-{key}").click().run()
    assert link(page)["run"] == key
    assert "What does this pruning do" in said(page)


def choose(page, key, action):
    next(item for item in page.get("menu_button") if item.key == f"more-{key}").set_value(action).run()


def test_a_waiting_run_can_be_cancelled_and_pinned(visit, keep, store):
    key = keep(spec=SMALL, state="queued")
    page = visit("runs")
    choose(page, key, "Pin")
    assert store.record(key).pinned
    choose(page, key, "Cancel")
    assert store.record(key).state == "cancelled"
    choose(page, key, "Unpin")
    assert not store.record(key).pinned


def test_waiting_runs_are_moved_and_paused_and_the_queue_as_well(visit, keep, store):
    specs = [SMALL.model_copy(update={"calibration": SMALL.calibration.model_copy(update={"seed": seed})}) for seed in range(3)]
    keys = [keep(spec=spec, state="queued", ago=60.0 - index, estimated=30.0) for index, spec in enumerate(specs)]
    page = visit("runs")
    choose(page, keys[2], "Run next")
    page.segmented_control(key="show").set_value("Queued and running").run()
    order = [button.key.removeprefix("open-") for button in page.button if (button.key or "").startswith("open-")]
    assert order == [keys[2], keys[0], keys[1]]
    choose(page, keys[0], "Pause")
    assert store.record(keys[0]).paused
    assert "2 waiting, 1 paused. The last begins in about 30 s." in said(page)
    choose(page, keys[0], "Resume")
    page.button(key="queue-pause").click().run()
    assert store.queue_pause().since is not None
    page.run()
    assert "nothing begins until it is resumed" in said(page)


@pytest.mark.parametrize(("answer", "stays"), [("delete-no", True), ("delete-yes", False)])
def test_deleting_asks_first(visit, keep, store, answer, stays):
    key = keep(spec=SMALL, state="failed", error="because")
    page = visit("runs")
    choose(page, key, "Delete")
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


@pytest.mark.parametrize("page", ["explore", "layers", "masks", "outliers", "curves", "runs"])
def test_a_folder_that_cannot_be_written_is_told_on_every_page_and_mended_meanwhile(page, root, prunescope_home, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:1")
    (prunescope_home / "file").write_text("no folder")
    monkeypatch.setenv("PRUNESCOPE_HOME", str(prunescope_home / "file" / "home"))
    session = AppTest.from_file(str(root / "app" / "main.py"), default_timeout=240)
    session.query_params["pattern"] = "0.6"
    session.switch_page(f"../pages/{page}.py").run()
    assert not session.exception
    assert "PRUNESCOPE_HOME" in said(session)
    assert "is a file, not a folder" in said(session)
    assert "another folder" in said(session)
    assert link(session) == ({} if page == "runs" else {"pattern": "0.6"})  # the link of Runs has no words
    (prunescope_home / "file").unlink()
    session.run()
    assert "is a file, not a folder" not in said(session)
    resources.close()


def test_a_worker_that_says_nothing_is_told_instead_of_a_time_that_stands_still():
    record = RunRecord(key="a" * 64, spec=SMALL, state="running", submitted=1.0)
    latest = Progress(stage="solve", block=1, blocks=6, fraction=0.3, seconds=9.0, seconds_left=20.0)
    _, fresh = run_progress.bar(record, RunProgress(latest=latest, heard=time.time() - 1), None)
    assert fresh == "Solving · block 2 of 6 · 20 s left"
    share, silent = run_progress.bar(record, RunProgress(latest=latest, heard=time.time() - 31), None)
    assert share == pytest.approx(0.3)
    assert silent == "Solving · block 2 of 6 · nothing heard from its worker for 31 s; a lost one is replaced"


def test_who_hears_the_page_knows_which_run_a_button_is_of(visit, keep, small_result):
    key = keep(small_result)
    page, which = visit("runs"), wording.describe(SMALL)
    assert page.checkbox(key=f"mark-{key}").label == f"Mark to compare: {which}"
    assert page.button(key=f"open-{key}").label.replace("\\", "") == f"Open *{which}*"


def test_a_run_gets_a_name_and_a_note_that_stay_and_go_with_it(visit, keep, store, small_result):
    key = keep(small_result)
    keep(spec=SMALL.model_copy(update={"refit": True}), state="failed", error="because")
    page = visit("runs")
    choose(page, key, "Name and note")
    page.text_input(key=f"name-{key}").set_value("Baseline **A**")
    page.text_area(key=f"note-{key}").set_value("for the <i>talk</i>")
    page.button(key="name-yes").click().run()
    assert (store.record(key).name, store.record(key).note) == ("Baseline **A**", "for the <i>talk</i>")
    again = visit("runs")
    (shown,) = (body for body in rows(again) if "Baseline" in body)
    assert "<strong>Baseline **A**</strong>" in shown
    assert "for the &lt;i&gt;talk&lt;/i&gt;" in shown
    again.button(key=f"open-{key}").click().run()
    assert "Baseline **A**, " in said(again), "Explore calls it so too"
    again.switch_page("../pages/runs.py").run()
    resources.jobs().submit(store.record(key).spec)  # what is asked for again keeps its words
    assert store.record(key).name == "Baseline **A**"
    choose(again, key, "Delete")
    again.button(key="delete-yes").click().run()
    assert store.record(key) is None


def test_a_failed_run_that_is_run_again_keeps_its_name(visit, keep, store):
    key = keep(spec=SMALL, state="failed", error="because", name="mine", note="why?")
    visit("runs")
    resources.jobs().submit(SMALL)
    assert (store.record(key).state, store.record(key).name, store.record(key).note) == ("queued", "mine", "why?")


def test_a_rename_that_is_cancelled_changes_nothing(visit, keep, store, small_result):
    key = keep(small_result, name="before")
    page = visit("runs")
    choose(page, key, "Name and note")
    page.text_input(key=f"name-{key}").set_value("after")
    page.button(key="name-no").click().run()
    assert store.record(key).name == "before"
    assert not page.get("dialog")


def test_search_and_order_choose_what_is_listed(visit, keep, small_result):
    keep(small_result, name="Baseline")
    keep(spec=SMALL.model_copy(update={"refit": True}), state="failed", error="because", ago=10)
    page = visit("runs")
    assert ["refit" in body for body in rows(page)] == [True, False]
    assert numbers.percent(small_result.counted_sparsity) in rows(page)[1]
    page.selectbox(key="runs_order").set_value("Lowest perplexity first").run()
    assert ["refit" in body for body in rows(page)] == [False, True]
    page.text_input(key="runs_search").set_value("baseline thanos").run()
    assert len(rows(page)) == 1
    page.text_input(key="runs_search").set_value("baseline wanda").run()
    assert not rows(page)
    assert "No run has all of these words" in said(page)
    page.get("button_group")[0].set_value("Failed").run()
    page.text_input(key="runs_search").set_value("").run()
    assert len(rows(page)) == 1
