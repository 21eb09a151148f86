"""Masks without a browser, on the real demo model: the loupe and the other mask from the link, nonsense told, the file."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from app.masks import panels
from app.masks.questions import MaskQuestion, PairQuestion, WindowQuestion
from app.shared.downloads import NoAnswer
from app.workers.answers import Answers
from core.spec import RunSpec
from tests.pages.conftest import SMALL, charts, link, said

WORDS = {"windows": "16", "length": "64", "evaluation_windows": "4", "evaluation_length": "64", "method": "wanda"}
DOWN = "model.layers.3.mlp.down_proj"
pytestmark = pytest.mark.usefixtures("no_gallery")


@pytest.fixture
def page(visit, answers_here):
    def open_page(**words):
        return visit("masks", words={**WORDS, "layer": DOWN, **words})

    return open_page


def loupe(session):
    return json.loads(charts(session)[1])


@pytest.mark.long
def test_the_mask_of_a_layer_whose_share_is_its_own_takes_that_share(page, answers_here):
    page(allocation="marginal", b_method="magnitude")
    asked = [question for question in answers_here if isinstance(question, PairQuestion)][-1]
    assert asked.spec.allocation == asked.other.allocation == "even"
    assert asked.spec.pattern == asked.other.pattern != RunSpec().pattern
    page(allocation="marginal", b_method="magnitude", b_pattern="0.6")
    asked = [question for question in answers_here if isinstance(question, PairQuestion)][-1]
    assert asked.other.pattern.sparsity == 0.6


def test_a_link_restores_layer_and_loupe(page, answers_here):
    session = page(pattern="3:7", alpha="0.1", row="64", column="650")
    text = said(session)
    assert "26 outlier rows" in text
    assert "The last 2 columns, too few for a group, stay whole." in text
    (window,) = {(question.row, question.column) for question in answers_here if isinstance(question, WindowQuestion)}
    assert window == (64, 688 - 64)
    assert session.number_input(key="masks_row").value == 64
    assert loupe(session)["layout"]["xaxis"]["range"] == [623.5, 687.5]
    session.number_input(key="masks_row").set_value(128).run()
    assert link(session)["row"] == "128"
    assert loupe(session)["layout"]["yaxis"]["range"] == [191.5, 127.5]
    session.selectbox(key="masks_layer").set_value("model.layers.0.self_attn.q_proj").run()
    assert link(session)["layer"] == "model.layers.0.self_attn.q_proj"
    assert len([question for question in answers_here if isinstance(question, MaskQuestion)]) == 2


def test_two_masks_are_compared_and_counted(page, answers_here):
    session = page(b_method="magnitude")
    (pair,) = [question for question in answers_here if isinstance(question, PairQuestion)]
    assert pair.other.method.name == "magnitude"
    text = said(session)
    assert "Agreement" in text
    assert "50.0 % by chance" in text
    assert "Of the weights that A removes" in text
    session.text_input(key="masks_b_pattern").set_value("0.7").run()
    assert "70 % of the weights" in said(session)
    assert link(session)["b_pattern"] == "0.7"
    session.text_input(key="masks_b_pattern").set_value("9:4").run()
    assert "B: pattern" in said(session)
    assert len(charts(session)) == 2, "A alone is still there"
    session.selectbox(key="masks_b_method").set_value("nothing").run()
    assert not {word for word in link(session) if word.startswith("b_")}
    assert "Agreement" not in said(session)


def test_both_masks_weigh_outputs_where_the_link_does(page, answers_here):
    text = said(page(b_method="thanos", fisher="0.5"))
    (pair,) = [question for question in answers_here if isinstance(question, PairQuestion)]
    assert pair.spec.fisher == pair.other.fisher == 0.5
    assert "Here an error counts all outputs the same" in text
    assert "Here an error counts all outputs the same" not in said(page(b_method="thanos"))


def test_the_same_method_with_another_block_size(page, answers_here):
    session = page(method="thanos", b_block_size="8", pattern="columns:0.3")
    (pair,) = [question for question in answers_here if isinstance(question, PairQuestion)]
    assert (pair.spec.method.block_size, pair.other.method.block_size) == (128, 8)
    assert session.selectbox(key="masks_b_method").value == "thanos"
    assert "remove exactly the same weights" in said(session), "whole columns are chosen at once"


def test_nonsense_is_told(page):
    session = page(layer="nix", row="-5", column="9999", b_method="<b>")
    text = said(session)
    assert "layer: 'nix' cannot be used. Allowed: this model's 42 layers" in text
    assert "row: '-5' cannot be used. Allowed: whole numbers from 0 to 255" in text
    assert "column: '9999'" in text
    assert "b_method: '<b>' cannot be used" in text
    assert not {"layer", "row", "column", "b_method"} & set(link(session))
    assert len(charts(session)) == 2


def test_the_file_is_the_mask(answers_here):
    spec = RunSpec.model_validate({**dict(SMALL), "pattern": {"kind": "semi-structured", "n": 1, "m": 4}})
    image = np.array(Image.open(io.BytesIO(panels._png(Answers(None), spec, DOWN))))
    assert image.shape == (256, 688)
    assert (image.reshape(256, 172, 4).sum(2) == 3).all(), "three of four are kept: white"
    with pytest.raises(NoAnswer, match="nix"):
        panels._png(Answers(None), spec, "nix")
