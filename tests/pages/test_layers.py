"""Layers without a browser, on the real demo model: the map, the chosen layer, the link, what is not there."""

import json
import re

import pytest

from app.layers import view
from app.layers.questions import HistogramQuestion, LayerQuestion, MethodsQuestion, PartsQuestion, WeightsQuestion
from app.shared import resources
from app.shared.questions.preview import LayersQuestion, PreviewQuestion
from app.workers.answers import Answers, Asked
from core.spec import METHOD_LABELS
from tests.pages.conftest import charts, link, said

WORDS = {"windows": "16", "length": "64", "evaluation_windows": "4", "evaluation_length": "64", "method": "wanda"}
DOWN = "model.layers.3.mlp.down_proj"


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """No gallery; the slow methods only on demand, whatever this machine does besides; controls count as settled at once."""
    monkeypatch.setattr(resources, "GALLERY", tmp_path)
    monkeypatch.setattr(view, "_methods", lambda *, quick: ("magnitude", "wanda", "thanos", "dsnot") if quick else ("obc",))
    monkeypatch.setattr("app.layers.bars._in_order", lambda: ["magnitude", "wanda", "thanos", "dsnot", "obc"])
    monkeypatch.setattr("core.models.cost._SOLVE", 1e3)
    monkeypatch.setattr("app.shared.previews.PATIENCE", 1e9)
    monkeypatch.setattr(view, "_QUICK_SECONDS", 1e9)
    monkeypatch.setattr(view, "AT_MOST", 1e9)
    monkeypatch.setattr(view, "_SETTLED", 0.0)


@pytest.fixture
def page(visit, answers_here):
    def open_page(**words):
        return visit("layers", words={**WORDS, **words})

    return open_page


def chart(session, place):
    return json.loads(charts(session)[place])


def methods_of(session):
    return [text.strip("</b>") for text in chart(session, 1)["layout"]["yaxis"]["ticktext"]]


def test_the_worst_layer_is_shown_beside_the_map(page, answers_here):
    session = page()
    (preview,) = [question for question in answers_here if isinstance(question, PreviewQuestion)]
    points = chart(session, 0)["data"][1]
    assert len(points["customdata"]) == 42
    worst = session.selectbox(key="layers_layer").value
    text = said(session)
    assert "preview from the dense model's Gram matrices" in text
    assert f"The largest error is in {worst.removeprefix('model.layers.')}" in text
    assert f"In {worst.removeprefix('model.layers.')} Wanda" in text
    assert methods_of(session) == ["Magnitude", "Wanda", "Thanos", "DSnoT"]
    assert "layer" not in link(session)
    assert preview.spec.method.name == "wanda"


@pytest.mark.long
def test_every_method_is_asked_with_the_weighting_of_the_link(page, answers_here):
    session = page(fisher="0.5", layer=DOWN)
    asked = [question for question in answers_here if isinstance(question, LayerQuestion | MethodsQuestion)]
    assert {question.spec.fisher for question in asked} == {0.5}
    assert {type(question) for question in asked} == {LayerQuestion, MethodsQuestion}
    assert "Here an error counts all outputs the same" in said(session)
    session.session_state["layers-tabs"] = "How it was measured"
    session.run()
    assert "errors count as their outputs do for the loss" in said(session)


@pytest.mark.parametrize(("pattern", "named"), [("columns:0.3", False), pytest.param("0.5", True, marks=pytest.mark.long)])
def test_a_layer_whose_share_is_its_own_is_asked_with_it(page, answers_here, pattern, named):
    """Bar and map say the same of the same layer and method; the other methods take as much."""
    session = page(allocation="marginal", method="thanos", pattern=pattern, **({"layer": DOWN} if named else {}))
    layer = session.selectbox(key="layers_layer").value
    one, others = ([question.spec for question in answers_here if isinstance(question, kind)][-1]
                   for kind in (LayerQuestion, MethodsQuestion))
    assert (one.allocation, others.allocation, others.pattern) == ("even", "even", one.pattern)
    (cell,) = (text for text in chart(session, 0)["data"][1]["text"] if f"<b>{layer}</b>" in text)
    bar = next(item["text"] for item in chart(session, 1)["layout"]["annotations"] if "<b>" in item["text"])
    error = re.search(r"error ([\d.]+) of", cell)
    assert error is not None
    assert error[1] in bar
    share = re.search(r"Every method removes the layer's own share, ([\d.]+) %", said(session))
    assert share is not None
    assert abs(float(share[1]) - 100 * float(pattern.split(":")[-1])) > 1, "not the even one"


def test_a_link_opens_a_layer_and_the_list_another(page, answers_here):
    session = page(layer=DOWN, measure="gap")
    assert session.selectbox(key="layers_layer").value == DOWN
    assert "over the best possible" in chart(session, 0)["layout"]["title"]["text"]
    assert "In 3.mlp.down_proj Wanda leaves" in said(session)
    other = "model.layers.0.self_attn.o_proj"
    session.selectbox(key="layers_layer").set_value(other).run()
    assert "In 0.self_attn.o_proj Wanda" in said(session)
    assert link(session)["layer"] == other
    assert link(session)["measure"] == "gap"
    assert {question.layer for question in answers_here if isinstance(question, LayerQuestion)} >= {DOWN, other}


@pytest.mark.parametrize("name", ["layers", "masks", "outliers"])
def test_the_layer_of_a_link_stays_until_the_model_is_open(visit, answers_here, monkeypatch, name):
    in_time, late = Answers.ask, Asked(state="computing")
    monkeypatch.setattr(Answers, "ask", lambda *_, **__: late)
    session = visit(name, words={**WORDS, "layer": DOWN})
    assert link(session)["layer"] == DOWN
    assert "cannot be used" not in said(session)
    monkeypatch.setattr(Answers, "ask", lambda self, asked, **given: (
        in_time(self, asked, **given) if isinstance(asked, LayersQuestion) else late))
    session.run()
    assert link(session)["layer"] == DOWN


def test_the_layer_stays_while_the_controls_change(page, answers_here):
    session = page(layer=DOWN)
    session.slider(key="sparsity").set_value(70.0).run()
    session.run()
    assert session.selectbox(key="layers_layer").value == DOWN
    asked = [question.spec.pattern.sparsity for question in answers_here if isinstance(question, LayerQuestion)]
    assert asked == [0.5, 0.7]
    session.switch_page("../pages/runs.py").run()
    session.switch_page("../pages/layers.py").run()
    assert link(session)["layer"] == DOWN


def test_nonsense_is_told_with_what_there_is(page):
    session = page(layer="model.layers.9.<b>", measure="colour")
    text = said(session)
    assert "layer: 'model.layers.9.<b>' cannot be used. Allowed: this model's 42 layers: model.layers.0.self_attn.q_proj" in text
    assert "measure: 'colour' cannot be used. Allowed: error, gap, sparsity. Used instead: error." in text
    assert not {"layer", "measure"} & set(link(session))
    session.button(key="dismiss").click().run()
    assert "cannot be used" not in said(session)


def test_what_takes_long_waits_for_a_button(page, answers_here):
    session = page(layer=DOWN)
    button = session.button(key="layers_slow")
    assert button.label.startswith("Solve it with OBC too: about ")
    assert "OBC" not in methods_of(session)
    small = "model.layers.0.self_attn.q_proj"
    session.selectbox(key="layers_layer").set_value(small).run()
    session.button(key="layers_slow").click().run()
    assert methods_of(session)[-1] == METHOD_LABELS["obc"]
    assert "The least error here is OBC's" in said(session)
    assert [question.methods for question in answers_here if isinstance(question, MethodsQuestion)][-1] == ("obc",)


def test_a_method_that_has_no_meaning_for_the_pattern_is_left_out_with_the_reason(page):
    session = page(pattern="columns:0.3", layer=DOWN)
    assert "Not shown. DSnoT: It swaps single entries, and a column goes as a whole." in said(session)
    assert "DSnoT" not in methods_of(session)


def test_a_method_that_fails_says_why_and_the_others_are_there(page):
    session = page(method="thanos", damping="0", layer=DOWN, windows="4")  # fewer tokens than inputs
    assert said(session).count(f"{DOWN}: the Hessian is numerically not positive definite") == 1
    assert "Nothing can be shown here, for the reason above." in said(session)
    assert "Thanos leaves" not in said(session)  # not what it leaves with its default damping either
    bars = chart(session, 0)  # the map, which cannot be made, is not there
    names = [text.strip("</b>") for text in bars["layout"]["yaxis"]["ticktext"]]
    said_of = dict(zip(names, (item["text"] for item in bars["layout"]["annotations"]), strict=False))
    assert "no answer" in said_of["Thanos"]
    assert "no answer" not in said_of["Magnitude"]


def test_a_map_that_cannot_be_made_leaves_no_empty_place(visit, answers_here):
    few = {"method": "thanos", "damping": "0", "windows": "4"}  # fewer tokens than inputs
    session = visit("layers", words={**WORDS, **few, "layer": "model.layers.0.self_attn.q_proj"})
    assert "The map of all layers stands here when each of them can be solved" in said(session)
    assert not session.get("segmented_control") or "layers_measure" not in [item.key for item in session.get("segmented_control")]


def test_only_the_open_tab_is_computed(page, answers_here):
    session = page(layer=DOWN, alpha="0.1", pattern="3:8")
    views = {"Rows and columns": PartsQuestion, "Weights": WeightsQuestion, "Histogram": HistogramQuestion}
    assert [type(question) for question in answers_here if isinstance(question, tuple(views.values()))] == [PartsQuestion]
    assert "The 26 outlier rows, kept dense, have none." in said(session)
    for name, kind in list(views.items())[1:]:
        session.session_state["layers-tabs"] = name
        session.run()
        assert not session.exception
        assert len(charts(session)) == 3
        assert kind in [type(question) for question in answers_here]
    session.session_state["layers-tabs"] = "How it was measured"
    session.run()
    assert len(charts(session)) == 2
    assert "26 rows and 0 columns left dense" in said(session)


def test_a_finished_run_is_the_map(page, keep, small_result, answers_here):
    keep(small_result)
    session = page(method="thanos")
    assert "from the finished run" in said(session)
    assert not [question for question in answers_here if isinstance(question, PreviewQuestion) and question.spec.method.name == "thanos"]
    words = chart(session, 0)["data"][1]["text"]
    assert len(words) == 42


@pytest.mark.usefixtures("without_workers")
def test_without_a_worker_it_says_what_is_missing(visit):
    session = visit("layers")
    assert "Opening the model" in said(session) or "no answer" in said(session)
    assert "Here you will see the error of every layer" in said(session)
