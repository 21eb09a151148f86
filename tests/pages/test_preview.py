"""Explore before a run: the preview follows the controls, says what it is, and is remembered when the run is there."""

import json

import pytest

from app.shared import numbers
from app.shared.questions.preview import PreviewQuestion
from app.workers.answers import Answers, Asked
from core.spec import make_method, parse_pattern
from tests.pages.conftest import SMALL, charts, said

WORDS = {"windows": "16", "length": "64", "evaluation_windows": "4", "evaluation_length": "64", "method": "magnitude"}
pytestmark = pytest.mark.usefixtures("no_gallery")


def test_a_preview_stands_where_the_answer_will_be(visit, keep, small_result, answers_here):
    keep(small_result)
    page = visit(words=WORDS)
    text = said(page)
    assert "demo · Magnitude" in text
    assert "preview, not run yet" in text
    assert "an earlier answer" not in text
    (shown,) = charts(page)
    names = {name for trace in json.loads(shown)["data"] for name in trace.get("customdata") or []}
    assert names == {layer.name for layer in small_result.layers}
    assert not page.button(key="run_button").disabled


def test_it_follows_the_controls(visit, keep, small_result, answers_here):
    keep(small_result)
    page = visit(words=WORDS)
    page.slider(key="sparsity").set_value(70.0).run()
    assert numbers.percent(0.7) in said(page)
    assert [question.spec.pattern.sparsity for question in answers_here if isinstance(question, PreviewQuestion)] == [0.5, 0.7]
    page.slider(key="sparsity").set_value(50.0).run()
    assert len(answers_here) == 2


@pytest.mark.long
def test_a_slow_method_is_estimated_from_a_few_rows_until_its_preview_is_there(visit, answers_here, monkeypatch):
    monkeypatch.setattr("core.whatif.session.AT_ONCE", 0.001)
    at_hand, late = Answers.ask, [True]

    def ask(self, question, **options):
        if late[0] and isinstance(question, PreviewQuestion) and not question.at_once:
            return Asked(state="computing")
        return at_hand(self, question, **options)

    monkeypatch.setattr(Answers, "ask", ask)
    page = visit(words={**WORDS, "method": "obc"})
    text = said(page)
    assert "estimate from 4 rows of each layer; the preview of all rows is being computed" in text
    assert "OBC and SparseGPT both prune 4 rows of each layer" in text
    assert "Estimate from 4 rows" in json.loads(charts(page)[0])["layout"]["title"]["text"]
    late[0] = False
    page.run()
    text = said(page)
    assert "preview, not run yet" in text
    assert "4 rows" not in text


def test_it_says_what_only_the_run_does(visit, answers_here):
    assert "Only a run compensates for errors of earlier blocks" not in said(visit(words=WORDS))
    assert "Only a run compensates for errors of earlier blocks" in said(visit(words={**WORDS, "propagation": "0.5"}))


@pytest.mark.parametrize(("method", "fisher", "told"), [("frontier", "0.5", True), ("frontier", "0", False), ("obc", "0.5", False)])
def test_an_estimate_of_coupled_outputs_says_that_it_takes_each_alone(method, fisher, told, visit, answers_here, monkeypatch):
    monkeypatch.setattr("core.whatif.session.AT_ONCE", 0.001)
    at_hand = Answers.ask

    def ask(self, question, **options):
        whole = isinstance(question, PreviewQuestion) and not question.at_once
        return Asked(state="computing") if whole else at_hand(self, question, **options)

    monkeypatch.setattr(Answers, "ask", ask)
    text = said(visit(words={**WORDS, "method": method, "fisher": fisher}))
    assert "estimate from 4 rows of each layer" in text
    assert ("the preview of all rows couples the outputs" in text) == told


def test_a_share_of_a_link_is_a_whole_number_on_the_slider(visit, answers_here):
    assert visit(words={**WORDS, "pattern": "0.57"}).slider(key="sparsity").value == 57.0


def test_a_preview_that_fails_says_why_and_the_plan_stays_possible(visit, answers_here):
    page = visit(words={**WORDS, "method": "thanos", "damping": "0", "windows": "3"})  # fewer tokens than inputs
    assert "This question could not be answered." in said(page)
    assert "damping" in said(page)


def test_the_run_says_how_near_the_preview_was(visit, keep, store, answers_here):
    from core import prune
    from core.records import Finished

    page = visit(words=WORDS)
    spec = SMALL.model_copy(update={"method": make_method("magnitude")})
    (result,) = (event.result for event in prune(spec) if isinstance(event, Finished))
    keep(result)
    page.run()
    text = said(page)
    assert f"Your run: {numbers.perplexity(result.pruned.perplexity)}; the preview said" in text
    estimate = float(text.partition("the preview said ≈ ")[2].split(".")[0] + "." + text.partition("the preview said ≈ ")[2].split(".")[1])
    assert estimate == pytest.approx(result.pruned.perplexity, rel=0.05)


def test_beside_the_layers_stand_the_curves_with_the_present_choice(visit, keep, small_result, answers_here):
    for tenths, perplexity in ((3, 41.0), (5, 43.0), (7, 60.0)):
        spec = SMALL.model_copy(update={"pattern": parse_pattern(f"0.{tenths}")})
        pruned = small_result.pruned.model_copy(update={"perplexity": perplexity})
        keep(small_result.model_copy(update={"spec": spec, "pruned": pruned, "counted_sparsity": tenths / 10}))
    page = visit(words={**WORDS, "pattern": "0.6"})
    _, curves = (json.loads(chart)["data"] for chart in charts(page))
    assert {trace["name"] for trace in curves} >= {"Thanos", "preview"}
    (ring,) = (trace for trace in curves if trace["name"] == "preview")
    assert ring["x"] == [pytest.approx(0.6, abs=1e-3)]
