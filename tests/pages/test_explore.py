"""Explore without a browser: first paint, and every state a run can be in."""

import json
import subprocess
import sys

import pytest

from app.shared import numbers
from app.shared.shipped import GALLERY
from app.workers.answers import Answers, Asked
from cache.keys import plan_key
from cache.store import Store
from core.records import RunResult
from core.run.planning import plan
from core.run.revisions import revisions
from core.spec import RunSpec, make_method, parse_pattern
from tests.pages.conftest import SMALL, charts, link, said

pytestmark = pytest.mark.usefixtures("without_workers", "no_gallery")
SMALL_WORDS = {"windows": "16", "length": "64", "evaluation_windows": "4", "evaluation_length": "64"}


def test_an_empty_house_says_what_will_be_shown_and_offers_the_example(visit):
    page = visit()
    assert "Nothing has been computed yet" in said(page)
    assert "perplexity before and after" in said(page)
    assert page.button(key="run_demo").label.startswith("Run the example: demo · Thanos")
    assert not charts(page)


def test_a_stored_result_opens_from_its_key_alone(visit, keep, small_result):
    key = keep(small_result)
    page = visit(words={"run": key})
    text = said(page)
    assert f"{numbers.perplexity(small_result.dense.perplexity)} → {numbers.perplexity(small_result.pruned.perplexity)}" in text
    assert small_result.pruned.protocol in text
    assert numbers.percent(small_result.counted_sparsity) in text
    assert f"{len(small_result.layers)} layers" in text
    assert "Thanos leaves" in text
    assert link(page) == {"run": key, **SMALL_WORDS}
    assert page.button(key="run_button").disabled
    names = {name for trace in json.loads(charts(page)[0])["data"] for name in trace.get("customdata") or []}
    assert names == {layer.name for layer in small_result.layers}


def test_numbers_do_not_wait_for_the_chart(visit, keep, small_result):
    page = visit(words={"run": keep(small_result)}, twice=False)
    assert numbers.perplexity(small_result.pruned.perplexity) in said(page)
    assert not charts(page)
    page.run()
    assert len(charts(page)) == 1


def test_a_result_can_be_repeated_and_taken_away(visit, keep, small_result):
    page = visit(words={"run": keep(small_result)})
    page.session_state["details"] = "Repeat it, take it away"
    page.run()
    assert page.code[0].value.startswith("python -m core prune --model demo --method thanos --pattern 0.5")
    assert "--evaluation-windows 4" in page.code[0].value
    labels = [item.proto.label for item in page.get("download_button")]
    assert labels == ["CSV", "JSON", "Report as HTML", "Result as JSON", "Layers as CSV"]
    assert page.code[0].value.endswith("--save pruned")
    page.session_state["details"] = "Every layer"
    page.run()
    assert len(page.dataframe[0].value) == len(small_result.layers)
    assert link(page)["run"]


def test_the_pruned_model_is_asked_for_and_told_when_it_is_there(visit, keep, store, small_result):
    key = keep(small_result)
    page = visit(words={"run": key})
    page.session_state["details"] = "Repeat it, take it away"
    page.run()
    assert "MB" in page.button(key="prepare-model").label
    page.button(key="prepare-model").click().run()
    request = store.exports.requests.read(key)
    assert (request.state, request.name) == ("queued", "demo-thanos-0.5")
    assert page.button(key="cancel-export")
    store.exports.folder.mkdir()
    store.exports.path(key).write_bytes(b"zip")
    store.exports.requests.change(key, lambda request: request.ended("finished"))
    page.run()
    assert str(store.exports.path(key)) in said(page)


def test_a_bare_address_is_the_shipped_example_whatever_finished_last(visit, keep, small_result):
    """Defaults are not in a link: if it meant the newest run, a reload or a sent link would show somebody else's settings."""
    (first,) = GALLERY.glob("0-*.json")
    assert RunResult.model_validate_json(first.read_bytes()).spec == RunSpec()
    keep(small_result, spec=SMALL.model_copy(update={"refit": True}))
    page = visit()
    assert link(page) == {}
    page.selectbox(key="method").set_value("wanda").run()
    assert link(page) == {"method": "wanda"}
    page.selectbox(key="method").set_value(RunSpec().method.name).run()
    assert link(page) == {}


def test_while_a_run_goes_on_no_other_run_s_answer_stands_below_it(visit, keep, small_result, answers_here):
    keep(small_result)
    other = SMALL.model_copy(update={"method": make_method("wanda").resolved(SMALL.pattern)})
    page = visit(words={**SMALL_WORDS, "method": "wanda"})
    assert "preview, not run yet" in said(page)
    keep(spec=other, state="running")
    page.run()
    text = said(page)
    assert "the run is going on" in text
    assert "earlier answer" not in text
    fresh = visit(words={**SMALL_WORDS, "method": "wanda"})
    assert "earlier answer" not in said(fresh)
    assert "demo · Thanos" not in said(fresh)


def test_first_paint_shows_the_shipped_example_and_says_so(visit, no_gallery, small_result):
    (no_gallery / "thanos.json").write_text(small_result.model_dump_json())
    (no_gallery / "broken.json").write_text("{")
    page = visit()
    assert "shipped with PruneScope" in said(page)
    assert len(charts(page)) == 1
    assert "computed with another" not in said(page)
    assert not page.button(key="run_button").disabled


def test_a_shipped_example_of_another_text_says_so(visit, no_gallery, small_result):
    other = small_result.revisions.model_copy(update={"evaluation": "the text of another Python"})
    (no_gallery / "thanos.json").write_text(small_result.model_copy(update={"revisions": other}).model_dump_json())
    assert "computed with another model, text or version" in said(visit())


def test_changing_a_control_keeps_the_old_answer_and_labels_it(visit, keep, small_result):
    page = visit(words={"run": keep(small_result)})
    page.selectbox(key="method").set_value("wanda").run()
    assert "demo · Thanos" in said(page)
    assert "an earlier answer" in said(page)
    assert "run" not in link(page)
    assert link(page)["method"] == "wanda"
    page.selectbox(key="method").set_value("thanos").run()
    assert "an earlier answer" not in said(page)
    assert "run" in link(page)


def test_a_preview_that_takes_long_is_announced(visit, answers_here, monkeypatch):
    in_time = Answers.ask

    def late(self, question, **_):
        return Asked(state="computing")

    monkeypatch.setattr(Answers, "ask", late)
    assert "A preview is being computed" in said(visit(words=SMALL_WORDS))
    monkeypatch.setattr(Answers, "ask", in_time)
    page = visit(words=SMALL_WORDS)
    assert "preview, not run yet" in said(page)
    monkeypatch.setattr(Answers, "ask", late)
    page.slider(key="sparsity").set_value(37).run()
    assert "the preview before; the new one is being computed" in said(page)


@pytest.mark.parametrize(("word", "told"), [("0.5", "35 % and 65 %"), ("0.9", "75 % and 99 %"), ("columns:0.3", "15 % and 45 %")])
def test_a_plan_says_what_is_known_only_in_the_run(visit, store, word, told):
    spec = SMALL.model_copy(update={"allocation": "marginal", "pattern": parse_pattern(word)})
    store.put_plan(plan_key(spec, revisions(spec)), plan(spec))
    text = said(visit(words={**SMALL_WORDS, "allocation": "marginal", "pattern": word}))
    assert f"gives each its own share, between {told}; the total stays." in text


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_without_result_says_why_and_the_last_answer_stays(visit, keep, small_result, state):
    keep(small_result)
    spec = SMALL.model_copy(update={"refit": True})
    key = keep(spec=spec, state=state, ended=2.0, error="3.mlp: the Hessian is not positive definite. Raise the damping.")
    page = visit(words={"run": key})
    assert ("Raise the damping" if state == "failed" else "Canceled before it was finished") in said(page)
    assert "an earlier answer" in said(page)
    assert len(charts(page)) == 1
    assert page.button(key="run_button").label == "Run again"
    assert not page.button(key="run_button").disabled


def test_a_waiting_run_says_its_place_and_can_be_cancelled(visit, keep, store):
    first = keep(spec=SMALL.model_copy(update={"refit": True}), state="queued", ago=100)
    second = keep(spec=SMALL, state="queued")
    page = visit(words={"run": second})
    assert page.get("progress")[0].proto.text .startswith("Waiting, number 2 in the queue; no estimate of when it begins")
    assert page.button(key="run_button").disabled
    page.button(key="cancel").click().run()
    assert store.record(second).state == "cancelled"
    assert store.record(first).state == "queued"


def test_pressing_run_asks_for_the_run_even_before_there_are_workers(visit, store):
    page = visit(words=SMALL_WORDS)
    page.button(key="run_button").click().run()
    (record,) = store.runs()
    assert (record.spec, record.state) == (SMALL, "queued")
    assert link(page)["run"] == record.key
    assert page.button(key="run_button").label == "Waiting…"
    store.put_record(record.model_copy(update={"state": "running"}))
    page.run()
    assert page.button(key="run_button").label == "Running…"
    assert page.button(key="run_button").disabled


def test_a_full_disk_is_told_and_nothing_is_asked_for(visit, store, monkeypatch):
    monkeypatch.setattr(Store, "free_bytes", lambda self: 1)
    page = visit(words=SMALL_WORDS)
    page.button(key="run_button").click().run()
    assert "PRUNESCOPE_HOME to a folder on a larger disk" in said(page)
    assert store.count() == 0
    page.selectbox(key="method").set_value("wanda").run()
    assert "larger disk" not in said(page)


def test_the_example_runs_with_one_button(visit, store):
    page = visit(words={"method": "wanda"})
    page.button(key="run_demo").click().run()
    assert [record.spec for record in store.runs()] == [RunSpec()]
    assert page.selectbox(key="method").value == "thanos"


def test_a_result_of_older_revisions_stays_openable_and_says_so(visit, keep, store, small_result):
    key = keep(small_result)
    old = "ab" * 32
    store.put_record(store.record(key).model_copy(update={"key": old}))
    store.put_result(old, store.result(key))
    store.delete(key)
    page = visit(words={"run": old})
    assert "computed with another model, text or version" in said(page)
    assert link(page)["run"] == old
    assert not page.button(key="run_button").disabled


def test_the_web_server_never_imports_torch(root, prunescope_home, keep, small_result):
    keep(small_result)
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file('app/main.py', default_timeout=240).run()\n"
        "page.selectbox(key='method').set_value('wanda').run()\n"
        "page.switch_page('../pages/runs.py').run()\n"
        "assert not page.exception\n"
        "sys.exit(', '.join(sorted({'torch', 'transformers', 'datasets'} & set(sys.modules))) or 0)")
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
