"""The page of outlier rows on the real session: what is shown, the link, the slider in whole rows, and what cannot be asked."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.outliers.questions import EnergySharesQuestion, LayerRowsQuestion
from app.shared import alpha_sweep, resources
from app.shared.questions.outliers import LayerPointQuestion, ModelPointQuestion
from core.spec import alphas
from tests.pages.conftest import charts, link, said

pytestmark = pytest.mark.usefixtures("without_workers")
SMALL_WORDS = {"windows": "16", "length": "64", "evaluation_windows": "2", "evaluation_length": "32"}
LAYER = "model.layers.1.self_attn.k_proj"


@pytest.fixture(autouse=True)
def few_points(monkeypatch):
    """Three α and one or two draws are enough to see that the page draws them."""
    monkeypatch.setattr(alphas, "SWEEP", (0.0, 0.1, 0.2))
    monkeypatch.setattr(alpha_sweep, "MODEL_DRAWS", 1)
    monkeypatch.setattr(alpha_sweep, "LAYER_DRAWS", 2)


@pytest.fixture
def look(root, prunescope_home, answers_here):
    """look(words): the page of a link, opened directly."""

    def open_page(**words):
        page = AppTest.from_file(str(root / "app" / "main.py"), default_timeout=120).switch_page("../pages/outliers.py")
        for word, text in {**SMALL_WORDS, **words}.items():
            page.query_params[word] = text
        page.run()
        assert not page.exception
        return page

    yield open_page
    resources.close()


def test_the_page_shows_the_map_the_layer_and_both_curves(look, answers_here):
    page = look(method="magnitude", pattern="columns:0.3", alpha="0.1", layer=LAYER)
    text = said(page)
    assert "The strongest 10 % of the rows hold from" in text
    assert "In block 1, k_proj, the 26 strongest rows of 256 stay dense" in text
    assert "this layer's error" in text
    assert "With as many random rows it" in text
    assert len(charts(page)) == 5  # map, rows, two curves, columns
    assert "columns go from the rows that are pruned" in text
    for kind in (EnergySharesQuestion, LayerRowsQuestion, LayerPointQuestion, ModelPointQuestion):
        assert any(isinstance(question, kind) for question in answers_here)
    names = [trace["name"] for trace in json.loads(charts(page)[3])["data"] if trace.get("name")]
    assert "strongest rows stay" in names
    assert "as many random rows" in names
    assert link(page) == {"method": "magnitude", "pattern": "columns:0.3", "alpha": "0.1", "layer": LAYER, **SMALL_WORDS}


@pytest.mark.long
def test_weighed_outputs_are_told_and_asked_for(look, answers_here):
    text = said(look(method="thanos", pattern="columns:0.3", alpha="0.1", layer=LAYER, fisher="0.5"))
    assert "Outputs are weighed as the loss feels them (Fisher weighting 0.5)." in text
    asked = [question for question in answers_here if isinstance(question, LayerRowsQuestion | LayerPointQuestion | ModelPointQuestion)]
    assert {question.spec.fisher for question in asked} == {0.5}
    assert "Outputs are weighed" not in said(look(method="thanos", pattern="columns:0.3", alpha="0.1", layer=LAYER))


def test_the_slider_is_alpha_in_whole_rows(look):
    page = look(method="magnitude", pattern="columns:0.3", alpha="0.1", layer=LAYER)
    cut = page.slider(key="outlier-cut")
    assert (cut.value, cut.min, cut.max) == (26, 0, 256)
    cut.set_value(51).run()
    assert page.number_input(key="alpha").value == 0.199
    assert "the 51 strongest rows of 256 stay dense" in said(page)
    page.slider(key="outlier-cut").set_value(250).run()
    assert page.slider(key="outlier-cut").value == 180
    assert "250 rows cannot stay here, so the nearest count is taken: 180. " in said(page)
    assert "at most 1 − p = 0.7" in said(page)
    page.slider(key="outlier-cut").set_value(0).run()
    assert "no row stays dense" in said(page)


def test_choosing_another_layer_changes_the_link(look):
    page = look(method="magnitude", layer=LAYER)
    other = page.selectbox(key="outlier-layer").options[-1]
    page.selectbox(key="outlier-layer").set_value(other).run()
    assert link(page)["layer"] == other
    assert "down_proj" in said(page)
    assert not page.exception


@pytest.mark.long
def test_a_layer_that_is_not_there_is_told_and_another_shown(look):
    page = look(method="magnitude", layer="<b>nowhere</b>")
    assert "layer: '<b>nowhere</b>' cannot be used. Allowed: this model's 42 layers: model.layers.0.self_attn.q_proj" in said(page)
    assert "layer" not in link(page)
    assert len(charts(page)) >= 4


@pytest.mark.long
def test_single_weights_are_compared_at_both_budgets(look):
    page = look(method="magnitude", alpha="0.1", layer=LAYER)
    text = said(page)
    assert "equal counted sparsity (50.0 %)" in text
    assert "On the full line counted sparsity falls from 50.0 % to" in text
    assert "This pattern takes single weights" in text


@pytest.mark.long
def test_all_rows_dense_is_said(look):
    page = look(method="magnitude", alpha="0.999", layer=LAYER)
    assert "all 256 rows stay dense: nothing of it is pruned" in said(page)


def test_a_total_that_no_groups_keep_is_told_and_the_last_answer_stays(look):
    page = look(method="magnitude", pattern="2:4", alpha="0.1", layer=LAYER)
    assert "26 strongest rows" in said(page)
    page.selectbox(key="alpha_budget").set_value("iso").run()
    assert "No n′:4 keeps 2:4's total; nearest: 2:4 (45.0 % counted) or 3:4 (67.5 % counted)" in said(page)
    assert "26 strongest rows" in said(page)
    assert not page.exception


@pytest.mark.long
def test_three_seeds_are_three_texts(look, answers_here):
    page = look(method="magnitude", pattern="columns:0.3", alpha="0.1", layer=LAYER)
    page.button(key="alpha-seeds").click().run()
    assert {question.spec.calibration.seed for question in answers_here if isinstance(question, ModelPointQuestion)} == {0, 1, 2}
    assert "cannot be told from a preview" in said(page), "of two windows of 32 tokens"
    assert "on 2 windows" in said(page)
    assert not page.exception


@pytest.mark.long
def test_the_map_of_where_alpha_pays_is_in_the_link(look, answers_here):
    page = look(method="magnitude", pattern="columns:0.3", alpha="0.1", layer=LAYER, map="gain")
    text = said(page)
    assert "Where keeping 10 % of the rows pays" in text
    assert "keeping the strongest rows lowers the error in" in text
    assert "of 42 layers" in text
    assert link(page)["map"] == "gain"
    assert "map: 'x' cannot be used" in said(look(map="x"))


def test_random_rows_of_the_controls_are_told_here(look):
    page = look(method="magnitude", pattern="columns:0.3", alpha="0.1", random_rows="0")
    assert "This page compares the strongest rows with random ones by itself" in said(page)
    assert link(page)["random_rows"] == "0"
    assert "random_rows" not in link(look(method="magnitude", pattern="columns:0.3", random_rows="0"))
