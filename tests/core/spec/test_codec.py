"""Codec of words: what is written is read back, what a stranger writes never raises, and every loss is said."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from core.spec.base import FrozenModel
from core.spec.codec import ChoiceCodec, ModelCodec
from core.spec.errors import BadInput
from core.spec.words import nearest, text


class Circle(FrozenModel):
    """A shape with one number."""

    name: Literal["circle"] = "circle"
    radius: float = Field(default=1.0, ge=0, le=100, description="r")


class Box(FrozenModel):
    """A shape with two, and a condition between them."""

    name: Literal["box"] = "box"
    width: int = Field(default=2, ge=1, le=9, description="w")
    height: int = Field(default=1, ge=1, le=9, description="h")

    @model_validator(mode="after")
    def _flat(self) -> "Box":
        if self.height > self.width:
            raise BadInput("height", self.height, f"1 to the width, {self.width}", "Lower it.")
        return self


class Paper(FrozenModel):
    """Where it is drawn."""

    size: Literal["a4", "a5"] = "a4"
    margin: float | None = Field(default=None, ge=0)


class Drawing(FrozenModel):
    """A shape on a paper."""

    shape: Circle | Box = Field(default=Circle(), discriminator="name")
    paper: Paper = Paper()
    title: str = Field(default="untitled", min_length=1, max_length=20)
    bold: bool = False
    layers: tuple[int, ...] = (1,)

    @model_validator(mode="after")
    def _fits(self) -> "Drawing":
        if self.paper.size == "a5" and isinstance(self.shape, Circle) and self.shape.radius > 50:
            raise BadInput("shape", self.shape.radius, "a radius up to 50 on a5", "Draw it smaller.")
        if self.bold and self.title == "untitled":
            raise BadInput("bold", True, "with a title", "Leave it out.")
        return self


SHAPES = ChoiceCodec(word="shape", kinds={"circle": Circle, "box": Box}, default="circle")
DRAWINGS = ModelCodec(model=Drawing, fields={"title": "title", "bold": "bold", "layers": "layers"},
                      parts={"shape": SHAPES, "paper": ModelCodec(model=Paper, fields={"paper": "size", "margin": "margin"})})


def _drawing(**fields):
    try:
        return Drawing(**fields)
    except ValueError:
        return None


FOUND = st.builds(
    _drawing, bold=st.booleans(), title=st.text("abc ,:é", min_size=1, max_size=20), layers=st.lists(st.integers(-5, 5)).map(tuple),
    shape=st.one_of(st.builds(Circle, radius=st.floats(0, 100)), st.builds(lambda low, more: Box(width=low + more, height=low),
                                                                           st.integers(1, 4), st.integers(0, 5))),
    paper=st.builds(Paper, size=st.sampled_from(["a4", "a5"]), margin=st.none() | st.floats(0, 1e9))).filter(lambda it: it is not None)
HOSTILE = st.one_of(st.text(max_size=20), st.integers().map(str), st.floats().map(str),
                    st.sampled_from(["", "circle", "box", "a5", "99", "true", "1,2,x", "\x00", "9" * 400, "<script>", "None"]))


@given(FOUND, st.booleans())
def test_what_is_written_is_read_back(drawing, whole):
    words = DRAWINGS.write(drawing, whole=whole)
    assert DRAWINGS.read(words) == (drawing, [])
    assert DRAWINGS.check(words) == (drawing, ())
    assert list(words) == [word for word in DRAWINGS.words if word in words]


def test_the_default_has_no_words_and_the_whole_has_all_that_say_something():
    assert DRAWINGS.write(Drawing()) == {}
    assert DRAWINGS.write(Drawing(), whole=True) == {
        "title": "untitled", "bold": "false", "layers": "1", "shape": "circle", "radius": "1", "paper": "a4"}


@given(st.dictionaries(st.sampled_from([*DRAWINGS.words, "strange", "run"]), HOSTILE))
def test_nothing_that_is_written_raises_and_every_loss_is_said(words):
    found, refused = DRAWINGS.read(words)
    assert isinstance(found, Drawing)
    assert {item.word for item in refused} <= set(words)
    kept = {word: value for word, value in words.items() if word not in {item.word for item in refused}}
    assert DRAWINGS.read(kept) == (found, [])
    for item in refused:
        assert f"{item.word}: " in str(item)
        assert "cannot be used. Allowed: " in str(item)
    strict, again = DRAWINGS.check(words)
    assert (strict is None) == bool(again)


@pytest.mark.parametrize(("words", "said"), [
    ({"radius": "-1"}, ["radius: '-1' cannot be used. Allowed: at least 0. Used instead: 1."]),
    ({"shape": "ring"}, ["shape: 'ring' cannot be used. Allowed: circle, box. Used instead: circle."]),
    ({"shape": "box", "radius": "2"}, ["radius: '2' cannot be used. Allowed: for box width, height. It is left out."]),
    ({"shape": "box", "height": "5"}, ["height: '5' cannot be used. Allowed: 1 to the width, 2. Used instead: 1."]),
    ({"bold": "true"}, ["bold: 'true' cannot be used. Allowed: with a title. Used instead: false."]),
    ({"tilte": "x"}, ["tilte: 'x' cannot be used. Allowed: the known words, perhaps title. It is left out."]),
    ({"radius": "90", "paper": "a5"}, ["radius: '90' cannot be used. Allowed: a radius up to 50 on a5. Used instead: 1."]),
    ({"layers": "1, 2,x"}, ["layers: 'x' cannot be used. Allowed: a whole number. Used instead: 1."]),
])
def test_a_refused_word_says_value_what_is_allowed_and_what_is_used(words, said):
    assert [str(item) for item in DRAWINGS.read(words)[1]] == said


def test_a_word_is_described_from_its_field():
    about = DRAWINGS.describe("width")
    assert (about.kind, about.low, about.high, about.help) == ("whole", 1, 9, "w (box)")
    assert DRAWINGS.describe("shape").choices == ("circle", "box")
    assert DRAWINGS.describe("paper").choices == ("a4", "a5")


def test_values_of_a_form_are_read_as_texts_are():
    assert DRAWINGS.read({"bold": True, "title": "x", "layers": (1, 2)}) == (Drawing(bold=True, title="x", layers=(1, 2)), [])


@pytest.mark.parametrize(("value", "word"), [(None, "automatic"), (2.0, "2"), (0.1, "0.1"), (True, "true"), ((1, 2.0), "1,2"), ("x", "x")])
def test_text(value, word):
    assert text(value) == word


def test_the_nearest_word():
    assert nearest("dampning", ("damping", "model")) == "damping"
    assert nearest("zzz", ("damping", "model")) == ""
