"""Token ids drawn from texts for windows: int64 [n, length], from one long text or from many documents."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from core.data.texts import Split, Text
from core.spec import Calibration
from core.spec.errors import BadInput

_PREFIX = 8  # characters of a text that are read for each token wanted of it; most tokenizers need 3 to 5


class Reader(Protocol):
    """Text to token ids: a tokenizer with its model's context (tokens) and vocabulary (rows of the embedding). The ids of the token that
    begins a text and of the one between documents are None where the tokenizer has none."""

    @property
    def context(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def bos(self) -> int | None: ...
    @property
    def separator(self) -> int | None: ...
    def encode(self, text: str, *, special: bool = True) -> list[int] | np.ndarray: ...


def first_tokens(text: str, count: int | None, reader: Reader, *, special: bool) -> list[int] | np.ndarray:
    """At least the first `count` token ids of a text (all: None), if it has so many. Of a long text no more is read than they need: a
    beginning and a longer one must agree on them, as an end that is cut may be read otherwise."""
    short = _PREFIX * (count or 0) + 4096
    if count is not None and len(text) > 4 * short:
        first, again = (reader.encode(text[:end], special=special)[:count] for end in (short, short + short // 8))
        if len(first) == count and np.array_equal(first, again):
            return first
    return reader.encode(text, special=special)


def from_one(text: Text, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator) -> np.ndarray:
    tokens = np.asarray(reader.encode(text.documents[0], special=spec.bos == "auto"), dtype=np.int64)
    there = len(tokens) // length
    if there == 0:
        raise too_short("calibration", text, len(tokens), length)
    if there < spec.windows:
        raise _too_few(text, spec, there, len(tokens), length)
    return tokens[: there * length].reshape(there, length)[rng.permutation(there)[: spec.windows]]


def from_many(text: Text, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator) -> np.ndarray | None:
    """A window of each document that is longer than one; None where none is."""
    drawn: list[np.ndarray] = []
    while len(drawn) < spec.windows:
        before = len(drawn)
        for index in rng.permutation(len(text.documents)):
            tokens = reader.encode(text.documents[int(index)], special=spec.bos == "auto")
            if len(tokens) > length:
                start = int(rng.integers(0, len(tokens) - length))
                drawn.append(np.asarray(tokens[start : start + length], dtype=np.int64))
            if len(drawn) == spec.windows:
                break
        if len(drawn) == before:
            return None
    return np.stack(drawn)


def packed(text: Text, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator) -> np.ndarray:
    """Consecutive windows of documents in random order with the separator token between them, as many documents as they need. Where the
    tokenizer marks a document's begin or end by itself, that is the separator."""
    tokens: list[int] = []
    for index in rng.permutation(len(text.documents)):
        document = list(reader.encode(text.documents[int(index)], special=spec.bos == "auto"))
        marked = {reader.bos, reader.separator} & {*tokens[-1:], *document[:1]} - {None}
        if tokens and not marked and reader.separator is not None:
            tokens.append(reader.separator)
        tokens += document
        if len(tokens) >= spec.windows * length:
            return np.asarray(tokens[: spec.windows * length], dtype=np.int64).reshape(spec.windows, length)
    if len(tokens) < length:
        raise too_short("calibration", text, len(tokens), length)
    raise _too_few(text, spec, len(tokens) // length, len(tokens), length)


def too_short(split: Split, text: Text, tokens: int, length: int) -> BadInput:
    return BadInput(split, f"{text.description}: {tokens} tokens", f"more than one window of {length} tokens",
                    "Use a longer text or shorter windows.")


def _too_few(text: Text, spec: Calibration, there: int, tokens: int, length: int) -> BadInput:
    return BadInput("windows", spec.windows, f"1 to {there}: {text.description} has {tokens:,} tokens, windows of {length}",
                    "Use fewer or shorter windows, or a longer text.")
