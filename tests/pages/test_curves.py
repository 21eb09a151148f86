"""Curves without a browser: what is there at a first visit, links, every state a sweep can be in, on real small runs."""

import json
import time

import pytest

from app.shared import resources
from app.shared.shipped import POINTS
from app.shared.sweeps import stored
from app.shared.sweeps.points import point_of, write_points
from app.workers.jobs import Jobs
from cache.records import RunRecord
from core.records import Finished
from core.run.revisions import revisions
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from tests.pages.conftest import SMALL, charts, link, said

pytestmark = pytest.mark.usefixtures("without_workers")
SMALL_WORDS = {"windows": "16", "length": "64", "evaluation_windows": "4", "evaluation_length": "64"}
TWO = {**SMALL_WORDS, "methods": "wanda,thanos", "patterns": "0.3,0.5"}


def spec(method, word, **more):
    return SMALL.model_copy(update={"method": make_method(method).resolved(parse_pattern(word)), "pattern": parse_pattern(word), **more})


@pytest.fixture(scope="module")
def results(small_result):
    """Real runs of the demo model on small windows."""
    from core import prune

    (wanda,) = (event.result for event in prune(spec("wanda", "0.5"), dense=small_result.dense) if isinstance(event, Finished))
    return {("thanos", "0.5"): small_result, ("wanda", "0.5"): wanda}


@pytest.fixture
def nothing_shipped(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "GALLERY", tmp_path)
    monkeypatch.setattr(stored, "POINTS", tmp_path / "none.jsonl")
    return tmp_path


@pytest.fixture
def curves(visit):
    """curves(words): the page as a link opens it, charts and all."""

    def open_page(words=None):
        return visit("curves", words=words)

    return open_page


def drawn(page):
    """(x, y) of every mark, by name."""
    traces = json.loads(charts(page)[0])["data"]
    return {trace["name"]: list(zip(trace["x"], trace["y"], strict=True)) for trace in traces if trace.get("customdata")}


def test_a_first_visit_is_full_of_what_is_shipped(curves):
    page = curves()
    marks = drawn(page)
    assert set(marks) >= {"Magnitude", "Wanda", "SparseGPT", "Thanos", "ADMM-Grad"}
    assert "the most that all" in said(page)
    assert "cannot be told from it" in said(page)
    assert link(page) == {}
    page.session_state["curves-sparsity-details"] = "How it was measured"
    page.run()
    assert "no paper has numbers for demo" in said(page)


@pytest.mark.parametrize("tab", ["blocks", "alpha", "time", "shapes"])
def test_every_view_opens_from_its_link(curves, tab):
    page = curves({"tab": tab})
    assert drawn(page)
    assert link(page) == {"tab": tab}
    assert "Not everything in this link" not in said(page)


@pytest.mark.usefixtures("nothing_shipped")
def test_an_empty_house_says_what_will_be_shown_and_offers_to_compute(curves):
    page = curves()
    assert "Here you will see how perplexity rises" in said(page)
    assert not charts(page)
    assert page.button(key="curves_compute").label == "Compute the missing 30 points"


@pytest.mark.usefixtures("nothing_shipped")
def test_stored_runs_are_points_and_the_missing_are_counted(curves, keep, results):
    for result in results.values():
        keep(result)
    keep(results["wanda", "0.5"], spec=spec("wanda", "0.5", refit=True))
    page = curves(TWO)
    marks = drawn(page)
    expected = {(result.counted_sparsity, result.pruned.perplexity) for (method, _), result in results.items() if method == "wanda"}
    assert set(marks["Wanda"]) == expected
    assert len(marks["Thanos"]) == 1
    assert page.button(key="curves_compute").label == "Compute the missing 2 points"
    assert results["wanda", "0.5"].pruned.protocol in said(page)
    assert link(page) == TWO
    page.session_state["curves-sparsity-details"] = "Repeat it"
    page.run()
    assert page.code[0].value.startswith("python -m core sweep --model demo")
    assert "--methods wanda,thanos --patterns 0.3,0.5" in page.code[0].value
    assert "--evaluation-windows 4" in page.code[0].value


@pytest.mark.usefixtures("nothing_shipped")
def test_the_button_asks_for_the_missing_runs_and_cancel_stops_them(curves, keep, results, store):
    keep(results["wanda", "0.5"])
    page = curves({**TWO, "seeds": "2"})
    page.button(key="curves_compute").click().run()
    queued = store.runs(states=("queued",))
    assert {(record.spec.method.name, record.spec.pattern.sparsity, record.spec.calibration.seed) for record in queued} == {
        (method, share, seed) for method in ("wanda", "thanos") for share in (0.3, 0.5) for seed in (0, 1)} - {("wanda", 0.5, 0)}
    assert page.button(key="curves_compute").label == "Computing 7 points…"
    assert page.get("progress")[0].proto.text.startswith("7 points to come.")
    page.button(key="curves_cancel").click().run()
    assert not store.runs(states=("queued", "running"))
    assert page.button(key="curves_compute").label == "Compute the missing 7 points"


@pytest.mark.usefixtures("nothing_shipped")
def test_failed_points_are_listed_with_their_reason(curves, keep, results):
    keep(results["wanda", "0.5"])
    keep(spec=spec("thanos", "0.5"), state="failed", error="<b>too near singular</b>")
    text = said(curves(TWO))
    assert "Thanos · 50 % of the weights · B = 128 failed." in text
    assert "<b>too near singular</b>" in text


@pytest.mark.parametrize(("words", "told"), [
    ({"tab": "nix"}, "tab: 'nix' cannot be used. Allowed: sparsity, blocks, alpha, time, shapes"),
    ({"methods": "wanda,<script>"}, "methods: '<script>' cannot be used"),
    ({"patterns": "0.5,2:4"}, "patterns of one kind"),
    ({"patterns": "0.5,9:4"}, "n:m with n up to m"),
    ({"patterns": "1.5"}, "patterns: '1.5' cannot be used"),
    ({"tab": "blocks", "methods": "wanda"}, "Allowed: sparsegpt, thanos"),
    ({"tab": "blocks", "block_sizes": "0,x"}, "block_sizes: '0' cannot be used"),
    ({"tab": "alpha", "alphas": "lots", "budgets": "none"}, "alphas: 'lots' cannot be used"),
    ({"tab": "time", "patterns": "0.5,0.6"}, "one pattern"),
    ({"seeds": "1000000"}, "1 to 20"),
    ({"scale": "square"}, "scale: 'square' cannot be used. Allowed: 'auto', 'linear' or 'log'. Used instead: auto"),
    ({"methods": ","}, "Allowed: 1 to 40 values"),
    ({"model": "../../etc", "windows": "-3", "foo": "1"}, "foo: '1' cannot be used. Allowed: the known words"),
])
def test_nonsense_in_a_link_is_told_in_words(curves, words, told):
    page = curves(words)
    assert "Not everything in this link could be used" in said(page)
    assert told in said(page)
    page.button(key="dismiss").click().run()
    assert "Not everything" not in said(page)


@pytest.mark.parametrize("words", [
    {"methods": "obc,wanda", "patterns": "0.55,0.95", "seeds": "4"}, {"patterns": "3:8,2:4"}, {"patterns": "columns:0.15"},
    {"tab": "blocks", "methods": "sparsegpt", "patterns": "0.6", "block_sizes": "3,77"},
    {"tab": "alpha", "methods": "wanda,obc", "patterns": "2:4", "alphas": "0,0.5", "budgets": "iso"},
    {"tab": "shapes", "over": "decode", "methods": "wanda,left-out", "patterns": "0.4,neurons:0.4,blocks:2"},
    {"tab": "time", "scale": "log"}, {"scale": "linear", "methods": "wanda"},
    {"tab": "time", "patterns": "columns:0.1", "refit": "true", "calibration": "embedded"},
])
def test_a_link_restores_the_choice(curves, words):
    page = curves(words)
    assert "Not everything" not in said(page)
    assert link(page) == {word: text for word, text in words.items() if word != "calibration"}


def test_what_is_typed_is_checked(curves):
    page = curves({"tab": "blocks"})
    page.multiselect(key="curves_blocks_block_sizes").set_value(["8"]).run()
    assert link(page)["block_sizes"] == "8"
    page.multiselect(key="curves_blocks_methods").set_value([]).run()
    assert "methods: '' cannot be used. Allowed: 1 to 40 values. Choose at least one." in said(page)
    assert charts(page), "the last good answer stays"


def test_controls_survive_a_visit_to_another_page(curves):
    page = curves({"methods": "wanda"})
    page.switch_page("../pages/runs.py").run()
    page.switch_page("../pages/curves.py").run()
    assert link(page) == {"methods": "wanda"}


def test_a_model_that_is_not_here_still_shows_its_points(curves, store, results, nothing_shipped):
    hub = RunSpec(model="meta-llama/Llama-2-7b-hf", method=make_method("wanda"), evaluation=Evaluation(source="hub:wikitext2"),
                  calibration=Calibration(source="hub:c4"))
    old = results["wanda", "0.5"]
    pruned = old.pruned.model_copy(update={"perplexity": 6.93, "windows": 166, "length": 2048})
    result = old.model_copy(update={"spec": hub, "pruned": pruned, "dense": pruned.model_copy(update={"perplexity": 5.48})})
    store.put_result("a" * 64, result)
    store.put_record(RunRecord(key="a" * 64, spec=hub, state="queued", submitted=time.time()).finished(result))
    page = curves({"model": hub.model, "calibration": "hub:c4", "evaluation": "hub:wikitext2"})
    marks = drawn_with_papers(page)
    assert marks["Wanda"] == [(0.5, 6.93)]
    assert sorted(marks["hollow: published"]) == [(0.5, 6.92), (0.5, 6.96), (0.5, 7.02)]
    assert "arXiv:2504.05346" in said(page)
    assert page.button(key="curves_compute").disabled


def drawn_with_papers(page):
    found = {}
    for trace in json.loads(charts(page)[0])["data"]:
        if trace.get("customdata") or trace["name"] == "hollow: published":
            found.setdefault(trace["name"], []).extend(zip(trace["x"], trace["y"], strict=True))
    return found


def test_shipped_points_of_other_texts_are_shown_and_said_to_be(curves, nothing_shipped, results, monkeypatch):
    other = results["wanda", "0.5"].revisions.model_copy(update={"evaluation": "the text of another Python"})
    write_points(nothing_shipped / "points.jsonl", [point_of(results["wanda", "0.5"].model_copy(update={"revisions": other}))])
    monkeypatch.setattr(stored, "POINTS", nothing_shipped / "points.jsonl")
    page = curves(TWO)
    assert len(drawn(page)["Wanda"]) == 1
    assert "computed with other texts" in said(page)
    assert page.button(key="curves_compute").label == "Compute the missing 4 points"


@pytest.mark.usefixtures("nothing_shipped")
def test_five_hundred_runs_are_read_once(curves, store, results, monkeypatch):
    found = revisions(SMALL)
    assert Jobs(store).key(SMALL)
    result = results["thanos", "0.5"].model_copy(update={"revisions": found})
    for number in range(500):
        made = SMALL.model_copy(update={"calibration": SMALL.calibration.model_copy(update={"seed": number % 20}),
                                        "pattern": parse_pattern(f"{(number // 20 + 10) / 100:g}")})
        store.put_result(f"{number:064x}", result.model_copy(update={"spec": made}))
        store.put_record(RunRecord(key=f"{number:064x}", spec=made, state="queued", submitted=time.time()).finished(result))
    page = curves({**SMALL_WORDS, "methods": "thanos"})
    assert len(drawn(page)["Thanos"]) == 25
    monkeypatch.setattr(type(resources.store()), "result", None)
    page.run()
    assert not page.exception, "no result is read again"
    assert POINTS.parent.name == "gallery"
