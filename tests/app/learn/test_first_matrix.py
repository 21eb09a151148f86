"""The matrix that Learn shows first meets its criterion, and the exercises' answers differ there where the lessons say so."""

import pytest
import torch

from app.learn import query, requests
from app.learn.findings import masks, one_weight, outlier_rows, two_weights
from app.learn.query import Lesson
from core.lessons import contrasts
from core.lessons.problems import small_problem
from core.models.open_model import open_model
from core.whatif.session import Session


@pytest.fixture(scope="module")
def session():
    return Session(open_model(query.SPEC, torch.device("cpu")))


def test_the_first_matrix_meets_the_criterion(session):
    found = list(contrasts.contrasts(small_problem(Lesson().matrix, session.problem)))
    assert len(found) == 24
    assert {contrast.stop for contrast in found} == {1, 2, 3, 4, 5, 7}
    assert [contrast for contrast in found if not contrast.met] == []


def test_the_criterion_is_about_the_settings_with_which_the_stops_open():
    lesson = Lesson()
    assert (lesson.row, {lesson.column, lesson.other}, lesson.sparsity, lesson.block, lesson.share, lesson.factor) == (
        contrasts.ROW, set(contrasts.PAIR), contrasts.SPARSITY, contrasts.BLOCK, contrasts.SHARE, contrasts.FACTOR)


def test_answers_differ_on_the_first_matrix(session):
    """The exercises that may say "the same" do not."""
    lesson = Lesson()
    one, two, mask, rows = (ask(lesson).answer(session) for ask in (requests.one, requests.two, requests.masks, requests.rows))
    assert "They are not the same weight here." in one_weight.one_weight_exercises(one)[0][1]
    assert two_weights.pair_exercises(two, lesson.row)[1][1].endswith("another pair.")
    assert two_weights.pair_verdict(two, lesson.row, lesson.column, lesson.other) != "same"
    by_mask, by_update, least = masks.masks_exercises(mask)[0][1].split(". ")
    assert (by_mask.split(":")[0], by_update.split(":")[0]) == ("By its mask SparseGPT", "By its update Magnitude and Wanda")
    assert least.startswith("In all Frontier loses least, ")
    assert masks.masks_exercises(mask)[1][1].startswith("No:")
    turns, best_count, _ = (answer for _, answer in outlier_rows.rows_exercises(rows))
    assert turns.endswith("times.")
    assert not turns.startswith("Up to")
    assert not best_count.startswith("0 of")


def test_the_reason_of_a_pair_holds_the_factors_of_its_ratio(session):
    """(1 − s)/(1 − ρ²), as text tells it, is the ratio that the figure shows."""
    lesson = Lesson()
    two = requests.two(lesson).answer(session)
    reason = two_weights.pair_reason(two, lesson.row, lesson.column, lesson.other)
    rho, shared = (float(reason.split(before)[1].split("$")[0]) for before in ("[H^{-1}]_{rr}} = ", "(x^2+y^2) = "))
    assert (1 - shared) / (1 - rho**2) == pytest.approx(two_weights.pair_ratio(two, lesson.row, lesson.column, lesson.other), rel=2e-3)


def test_two_strong_rows_have_an_exercise_of_their_own(session):
    lesson = Lesson(second=contrasts.SECOND_ROW)
    found = requests.rows(lesson).answer(session)
    assert found.strong == (contrasts.ROW, contrasts.SECOND_ROW)
    assert "Rows 2 and 4 hold" in outlier_rows.rows_finding(found, 1)
    question, answer = outlier_rows.rows_exercises(found)[-1]
    assert question.startswith("Two rows are strong.")
    assert "with two" in answer
