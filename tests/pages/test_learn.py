"""The Learn page without a browser: stops, links and clicks on real matrices; questions are answered in this process by the real core."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.learn import query
from app.learn.findings import formulas, one_weight, two_weights
from app.learn.questions import FormulasQuestion, OneWeightQuestion, SteppedQuestion, TwoWeightsQuestion
from app.shared import answers, numbers
from app.shared.questions.outliers import ModelPointQuestion
from app.workers.answers import Asked
from core.records.lessons import Matrix
from core.spec.errors import PruneError
from tests.pages.conftest import SMALL, charts, link, said

pytestmark = pytest.mark.usefixtures("without_workers")
DRAWN = {"source": "drawn"}


class Here:
    """What stands in for the worker: the same questions, answered at the same session, at once."""

    def __init__(self):
        self.known, self.asked = {}, 0

    def ask(self, question, *, place, wait=0.0):
        if isinstance(question, ModelPointQuestion):
            return Asked(state="computing")  # a whole model's perplexity: more than a test has time for
        key = (type(question), question.model_dump_json())
        if key not in self.known:
            self.asked += 1
            from app.workers.sessions import session_for

            try:
                self.known[key] = Asked(state="ready", answer=question.answer(session_for(question.spec)))
            except PruneError as error:
                self.known[key] = Asked(state="failed", error=str(error))
        return self.known[key]


@pytest.fixture(scope="module")
def here():
    return Here()


@pytest.fixture
def lesson(visit, here, monkeypatch):
    """lesson(words): the page as a link opens it."""
    monkeypatch.setattr(query, "SPEC", SMALL)
    monkeypatch.setattr(answers, "_answers", lambda: here)

    def open_page(words=None):
        return visit("learn", words=words)

    return open_page


def matrix_of(page, place=0):
    return json.loads(charts(page)[place])["data"]


def test_the_start_links_to_every_stop(lesson):
    page = lesson()
    for stop in list(query.STOPS)[1:]:
        assert page.button(key=f"learn_to_{stop}").label == query.STOPS[stop]
    assert link(page) == {}
    page.button(key="learn_to_1").click().run()
    assert link(page)["stop"] == "1"
    assert "What does it cost to remove one weight?" in said(page)


def test_next_goes_from_stop_to_stop_and_keeps_the_matrix(lesson):
    page = lesson({**DRAWN, "stop": "1", "row": "4"})
    for stop in query.TOUR[1:]:
        page.button(key="learn_next").click().run()
        assert link(page) == {**DRAWN, "stop": str(stop), "row": "4"}
    assert not [button for button in page.button if button.key == "learn_next"]


@pytest.mark.parametrize("words", [{"stop": str(stop)} for stop in query.TOUR] + [
    {"stop": "3", "view": "blocks"}, {"stop": "4", "lower": "updates", "mask": "best"}, {"stop": "6", "over": "seconds"},
    {"stop": "7", "scale": "model"}])
@pytest.mark.parametrize("more", [{}, {"source": "drawn", "present": "true"}], ids=["layer", "projector"])
def test_every_stop_opens_from_its_link(lesson, words, more):
    asked = {**words, **more}
    page = lesson(asked)
    assert charts(page) or ("No run of the demo model is here" in said(page) and words["stop"] == "9")  # nothing is shipped of these texts
    assert link(page) == asked  # as it came: written anew it would be in the way of Back
    assert "Not everything in this link" not in said(page)
    if int(words["stop"]) in query.TOUR[:-1]:
        page.button(key="learn_next").click().run()
        window = {} if "source" in asked else {word: str(getattr(Matrix(), word)) for word in ("layer", "first_row", "first_column")}
        assert link(page).items() >= window.items()  # the window is said: another release may begin with another one


def test_a_pressed_weight_is_removed_and_the_sentence_says_its_loss(lesson, here):
    page = lesson({**DRAWN, "stop": "1"})
    found = here.ask(OneWeightQuestion(spec=SMALL, matrix=Matrix(source="drawn")), place="").answer
    before = here.asked
    page.session_state["learn_row"], page.session_state["learn_column"] = 4, 5  # what a press sets
    page.run()
    assert one_weight.one_weight_finding(found, 4, 5) in said(page)
    assert link(page) == {**DRAWN, "stop": "1", "row": "4", "column": "5"}
    page.slider(key="learn_column").set_value(1).run()
    assert one_weight.one_weight_finding(found, 4, 1) in said(page)
    assert here.asked == before


def test_the_pairs_are_shown_after_a_guess(lesson, here):
    page = lesson({**DRAWN, "stop": "2", "row": "1", "column": "2", "other": "3"})
    found = here.ask(TwoWeightsQuestion(spec=SMALL, matrix=Matrix(source="drawn")), place="").answer
    page.slider(key="learn_other").set_value(2).run()  # the same weight twice is no pair: the next is taken
    assert page.slider(key="learn_other").value == 3
    told = two_weights.pair_finding(found, 1, 2, 3)
    assert "Guess first" in said(page)
    assert told not in said(page)
    right = two_weights.pair_verdict(found, 1, 2, 3)
    page.button(key=f"learn_guess_{right}").click().run()
    assert "Right: " in said(page)
    assert told in said(page)


def test_step_back_and_the_end_ask_nothing_more(lesson, here):
    page = lesson({**DRAWN, "stop": "3", "step": "0"})
    found = here.ask(SteppedQuestion(spec=SMALL, matrix=Matrix(source="drawn")), place="").answer
    before = here.asked
    last = found.recordings[1].last
    assert page.button(key="learn_back").disabled
    for step in range(1, last + 1):
        page.button(key="learn_step_on").click().run()
        assert link(page).get("step", "1") == str(step)
    assert page.button(key="learn_step_on").disabled
    assert f"After {int(found.mask.sum())} of {int(found.mask.sum())} removals" in said(page)
    page.button(key="learn_back").click().run()
    assert not page.button(key="learn_step_on").disabled
    assert here.asked == before


def test_back_pressed_before_the_page_has_drawn_the_step_takes_that_step_back(lesson):
    page = lesson({**DRAWN, "stop": "3", "focus": "obc", "step": "5"})
    page.button(key="learn_step_on").click()
    page.button(key="learn_back").click()  # a browser sends both at once where the first has not been answered yet
    page.run()
    assert link(page)["step"] == "5"


def test_the_block_slider_moves_along_the_curve(lesson):
    page = lesson({**DRAWN, "stop": "3", "view": "blocks"})
    page.slider(key="learn_block").set_value(12).run()
    assert "at B = 12, the optimum" in said(page)
    assert link(page)["block"] == "12"


def test_what_cannot_be_solved_is_told_with_the_remedy(lesson):
    page = lesson({**DRAWN, "stop": "1", "correlation": "1", "damping": "0"})
    assert "weights can go at no loss at all" in said(page)
    assert "raise λ" in said(page)
    assert not charts(page)


def test_a_window_beside_the_layer_is_told(lesson):
    assert "Move the window" in said(lesson({"stop": "1", "first_column": "9999"}))
    assert "model's" in said(lesson({"stop": "1", "layer": "model.layers.77.mlp"}))


def test_nonsense_in_a_link_is_told_and_clamped(lesson):
    page = lesson({"stop": "1", "rows": "900", "columns": "many", "row": "11", "colour": "red"})
    assert "rows: '900' cannot be used. Allowed: at most 12. Used instead: 6." in said(page)
    assert "columns: 'many'" in said(page)
    assert "colour: 'red' cannot be used. Allowed: the known words" in said(page)
    assert "row 5, input" in said(page)


def test_the_teachers_page_has_every_exercise_and_opens_the_projector(lesson, here):
    page = lesson({**DRAWN, "stop": "8", "seed": "5"})
    found = here.ask(OneWeightQuestion(spec=SMALL, matrix=Matrix(source="drawn", seed=5)), place="").answer
    for question, answer in one_weight.one_weight_exercises(found):
        assert question in said(page)
        assert answer in said(page)
    assert "drawn with seed 5" in said(page)
    addresses = [dict(parse_qsl(urlsplit(item.proto.url).query)) for item in page.get("link_button")]
    assert addresses == [{"stop": str(stop), "present": "true", **DRAWN, "seed": "5"} for stop in query.TOUR]
    page.button(key="learn_open_2").click().run()
    assert link(page) == {**DRAWN, "stop": "2", "seed": "5"}


def test_the_slips_are_what_the_page_says_of_them_on_several_layers(here):
    """Slip 1 leaves the columns, slip 2 is worse than no update: on windows and on whole layers of the demo model."""
    for layer in ("model.layers.0.self_attn.q_proj", "model.layers.2.self_attn.o_proj", "model.layers.5.mlp.up_proj"):
        for share in (0.1, 0.3, 0.6):
            for found in here.ask(FormulasQuestion(spec=SMALL, matrix=Matrix(layer=layer), sparsity=share), place="").answer:
                none, right, part, hessian = found.loss
                assert found.left[1] == 0
                assert found.left[2] > 0.005
                assert found.left[3] < 1e-9
                assert right <= none < hessian
                assert right < part
                assert "worse than no update at all" in formulas.formulas_finding(found)


def test_words_of_a_lesson_read_back():
    asked = query.Lesson(stop=3, source="drawn", rows=3, columns=7, block=5, focus="obc", step=9, present=True, damping=0.5)
    assert query.parse(query.to_words(asked)) == (asked, ())


@pytest.mark.parametrize("block", [1, 4, 12])
@pytest.mark.parametrize("stop", ["3", str(query.TEACHER)])
def test_exercises_are_answered_at_the_settings_that_are_shown(lesson, here, stop, block):
    """At B = 4 the figure over B was beside an answer that was computed at B = b."""
    words = {**DRAWN, "stop": stop, "block": str(block)}
    asked = SteppedQuestion(spec=SMALL, matrix=Matrix(source="drawn"), block_size=block)
    told = here.ask(asked, place="")
    assert told.answer is not None, told.error
    thanos = next(one for one in told.answer.recordings if one.method == "thanos")
    over = max(1.0, float(thanos.measured[-1] / thanos.optimum[-1]))
    assert f"Thanos at {numbers.times(over)}" in said(lesson(words))
    columns = Matrix(source="drawn").columns
    found = here.ask(asked.model_copy(update={"block_size": columns}), place="").answer
    over = max(1.0, float(found.block_loss[block - 1] / found.optimum))
    text = said(lesson({**words, "view": "blocks"}))
    assert f"at B = {block} {numbers.times(over)}" in text
    assert "SparseGPT ends at" not in text
