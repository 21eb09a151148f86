"""Calibration and evaluation texts, as they are asked for. No torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from core.spec.base import FrozenModel
from core.spec.errors import BadInput

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
