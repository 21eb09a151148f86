"""Calibration and evaluation texts, as they are asked for. No torch."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, ValidationError, field_validator, model_serializer

from core.spec.base import FrozenModel
from core.spec.errors import BadInput, input_errors

MAX_NAME = 1024  # letters of a source
SOURCES = "embedded, text:FILE or text:FILE:FIELD, hub:NAME, or windows:FILE.npy"


def check_source(source: str, field: str) -> str:
    """A text source's form (its existence is checked where it is read)."""
    kind, _, rest = source.partition(":")
    fits = source == "embedded" or (kind in ("text", "hub") and rest) or (kind == "windows" and rest.endswith(".npy"))
    if len(source) > MAX_NAME:
        raise BadInput(field, source, f"at most {MAX_NAME:,} letters", "Give the file a shorter path.")
    if not fits or any(ord(letter) < 32 for letter in source):
        raise BadInput(field, source, SOURCES, "The embedded text is always at hand.")
    return source


Bos = Literal["auto", "every-window", "none"]
_BOS = ("The token that begins a text. auto: where the tokenizer puts it, once for each text; every-window: first in each window; "
        "none: nowhere.")


class _Sample(FrozenModel):
    """The settings of both samples of text; younger than stored results, so it leaves no trace in a key or a file at its default."""

    bos: Bos = Field(default="auto", title="BOS token", description=_BOS)

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = write(self)
        if self.bos == "auto":
            del written["bos"]
        return written


class Calibration(_Sample):
    """The text whose activations make the Gram matrices."""

    source: str = Field(default="embedded", title="Calibration text", description=SOURCES)
    windows: int = Field(default=128, ge=1, le=100_000, title="Calibration windows", description="How many windows of tokens.")
    length: int | None = Field(default=None, ge=2, le=131_072, title="Window length",
                               description="Tokens per window. Automatic: the smaller of 2048 and the model's context.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, title="Seed", description="Which windows are drawn.")

    @field_validator("source")
    @classmethod
    def _source(cls, value: str) -> str:
        return check_source(value, "calibration")


class Evaluation(_Sample):
    """The held-out text on which perplexity is measured: consecutive windows, tail dropped."""

    source: str = Field(default="embedded", title="Evaluation text", description=SOURCES)
    windows: int | None = Field(default=None, ge=1, le=100_000, title="Evaluation windows",
                                description="Number of windows, counted from the start of the text. Automatic: all windows; 64 for the "
                                "embedded text.")
    length: int | None = Field(default=None, ge=2, le=131_072, title="Window length",
                               description="Tokens per window. Automatic: the smaller of 2048 and the model's context.")

    @field_validator("source")
    @classmethod
    def _source(cls, value: str) -> str:
        return check_source(value, "evaluation")

    @property
    def word(self) -> str:
        """The text with its settings in one word, without a comma: `hub:c4:windows=256:bos=none`."""
        said = [f"{name}={value}" for name in _SETTINGS if (value := getattr(self, name)) != Evaluation.model_fields[name].default]
        return ":".join([self.source, *said]).replace("%", "%25").replace(",", "%2C")

    def __str__(self) -> str:
        return self.word


_SETTINGS = ("windows", "length", "bos")
_SETTING = re.compile(r"(.+):([a-z_]+)=([^:]*)", re.DOTALL)
FURTHER = f"{SOURCES}; each with :windows=N, :length=N or :bos=NAME where these are not automatic, such as hub:c4:windows=256"


def parse_evaluation(word: str) -> Evaluation:
    """The text of a word as `Evaluation.word` writes it. Raises BadInput, field "further_evaluations"."""
    source, settings = word.strip(), dict[str, str]()
    while found := _SETTING.fullmatch(source):
        source, name, value = found.groups()
        if name not in _SETTINGS or name in settings:
            raise BadInput("further_evaluations", word, FURTHER, "Give each of windows, length and bos once at most.")
        settings[name] = value
    try:
        return Evaluation.model_validate({"source": source.replace("%2C", ",").replace("%25", "%"), **settings})
    except ValidationError as error:
        reason = input_errors(error)[0]
        named = f"{reason.field} {reason.allowed}" if reason.field in _SETTINGS else FURTHER
        raise BadInput("further_evaluations", word, named, reason.remedy) from error


FurtherEvaluation = Annotated[Evaluation, BeforeValidator(lambda value: parse_evaluation(value) if isinstance(value, str) else value)]
