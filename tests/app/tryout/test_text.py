"""Texts side by side: sentences, marks, words of the link, the question that goes on."""

import pytest

from app.shared.style import run_marks
from app.tryout import text_findings, text_questions
from app.tryout.text_charts import distributions, divergences
from app.tryout.text_query import CODEC, PROMPTS, TextAsked, specs_of
from app.tryout.text_questions import TextQuestion
from core.records.continuations import Candidate, Continuation, Place, Written
from core.spec import RunSpec, make_method
from core.spec.errors import Cancelled

PLACES = tuple(Place(token=token, divergences=(kl, 0.0), candidates=(Candidate(token=token, chances=(0.5, 0.25, 0.5)),))
               for token, kl in ((" a", 0.1), (" b", 0.4), (" c", 0.1)))
FOUND = Continuation(prompt=("P",), dense=Written(tokens=(" a", " b", " c")), exact=(True, False), places=PLACES,
                     pruned=(Written(tokens=(" a", "<i>", " c")), Written(tokens=(" a", " b", " c"))))


def test_the_finding_says_where_texts_part_and_how_far_distributions_are():
    assert text_findings.finding(FOUND, ("Wanda", "Thanos")) == (
        "Wanda parts from the dense model at token 2; KL is 0.200 nats in the mean, most at token 2 (0.400). "
        "Thanos writes the same 3 tokens as the dense model; KL is 0 nats in the mean, most at token 1 (0).")


def test_only_tokens_that_the_dense_text_does_not_have_are_marked_and_nothing_becomes_markup():
    html = text_findings.columns(FOUND, ("Wanda", "Thanos"), 1)
    assert html.count("ps-differs") == 1
    assert "&lt;i&gt;" in html
    assert "<i>" not in html
    assert "<span class='ps-cursor'> b</span>" in html
    assert text_findings.differing(("a", "b", "c"), ("a", "x", "b", "c")) == {1}, "an inserted token shifts the others"
    assert text_findings.differing(("a", "b", "c", "d"), ("a", "x", "a", "b", "c", "d")) == {1, 2}, "what both begin with is the same"


def test_line_breaks_behind_an_empty_line_take_no_room():
    found = FOUND.model_copy(update={"pruned": (Written(tokens=(" a", "\n", "\n", "\n", "\n", " c")), FOUND.pruned[1])})
    html = text_findings.columns(found, ("Wanda", "Thanos"), 1)
    assert html.count("<mark class='ps-differs'>⏎</mark>") == 2
    assert html.count("\n") == 2


def test_charts_have_a_line_and_a_bar_for_each_model():
    marks = run_marks(["wanda", "thanos"])
    lines = divergences(FOUND, ("Wanda", "Thanos"), marks, 1)
    assert [list(trace.y) for trace in lines.data] == [[0.1, 0.4, 0.1], [0, 0, 0]]
    bars = distributions(PLACES[1], ("Wanda", "Thanos"), marks)
    assert [(trace.name, list(trace.x)) for trace in bars.data] == [("dense", [0.5]), ("Wanda", [0.25]), ("Thanos", [0.5])]
    assert list(bars.layout.yaxis.ticktext) == ["␣b"]


def test_words_of_the_link():
    asked = TextAsked(prompt="x, y: z", beside=("wanda", "sparsegpt"), temperature=0.7, text_seed=3, tokens=24)
    assert CODEC.read(CODEC.write(asked)) == (asked, [])
    assert CODEC.write(TextAsked()) == {}
    wrong, refused = CODEC.read({"beside": "wanda,nothing", "temperature": "9", "tokens": "0", "text_seed": "-1"})
    assert wrong == TextAsked()
    assert {item.word for item in refused} == {"beside", "temperature", "tokens", "text_seed"}
    assert len(set(PROMPTS)) >= 4


def test_further_models_have_the_same_pattern_and_their_own_defaults():
    spec = RunSpec(method=make_method("thanos", block_size=64), pattern={"kind": "semi-structured", "n": 2, "m": 4})
    found, refused = specs_of(spec, TextAsked(beside=("wanda", "thanos")))
    assert [(one.method.name, one.pattern) for one in found] == [(name, spec.pattern) for name in ("thanos", "wanda", "thanos")]
    assert found[2].method.own_block_size != 64
    assert refused == ()


class _Texts:
    """Counts its steps."""

    def __init__(self):
        self.length, self.over = 0, False

    def step(self):
        self.length += 1

    def record(self):
        return self.length


class _Session:
    def __init__(self, steps):
        self.left = steps

    def wanted(self):
        self.left -= 1
        return self.left >= 0


def test_a_longer_text_goes_on_where_the_shorter_ended_and_stops_within_a_token(monkeypatch):
    begun = []
    monkeypatch.setattr(TextQuestion, "_begun", lambda self, session: begun.append(_Texts()) or begun[-1])
    monkeypatch.setattr(text_questions, "revisions", lambda spec: "same")
    text_questions._texts.clear()

    def ask(tokens, *, steps=99, **other):
        return TextQuestion(spec=RunSpec(), prompt="P", tokens=tokens, **other).answer(_Session(steps))

    assert [ask(1), ask(5)] == [1, 5]
    with pytest.raises(Cancelled):
        ask(9, steps=2)
    assert begun[0].length == 7, "two tokens more, then nobody waited"
    assert ask(9) == 9
    assert len(begun) == 1
    assert ask(2) == 2, "a shorter text is begun anew"
    assert ask(1, seed=1) == 1
    assert len(begun) == 3
