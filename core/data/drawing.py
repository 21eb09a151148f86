"""Token ids drawn from texts for windows: int64 [n, length], from one long text or from many documents."""

from __future__ import annotations

import numpy as np

from core.data.forms import LONG
from core.data.reading import Reader, piece_length, window_at
from core.data.texts import Split, Text
from core.spec import Calibration
from core.spec.errors import BadInput

_LOOKED_AT = 64  # documents that are read for each window before they are packed
_BYTES, _MARKS = 4, 16  # of a character at most; tokens that a tokenizer puts around a text, at most


def from_one(text: Text, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator) -> np.ndarray:
    """Different windows among the consecutive ones of the document; of a long one, among pieces of characters that hold a window each."""
    if _is_long(text, 0) and (found := _from_pieces(text.documents[0], spec, length, reader, rng)) is not None:
        return found
    tokens = np.asarray(reader.encode(text.documents[0], special=spec.bos == "auto"), dtype=np.int64)
    there = len(tokens) // length
    if there == 0:
        raise too_short("calibration", text, len(tokens), length)
    if there < spec.windows:
        raise _too_few(text, spec, there, len(tokens), length)
    return tokens[: there * length].reshape(there, length)[rng.permutation(there)[: spec.windows]]


def _from_pieces(document: str, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator) -> np.ndarray | None:
    """None where the document has fewer pieces than windows, or fewer tokens than one: then all of it is read."""
    size = piece_length(length)
    count = len(document) // size
    if count < spec.windows:
        return None
    drawn = [window_at(document, int(piece) * size, length, reader, special=spec.bos == "auto")
             for piece in rng.permutation(count)[: spec.windows]]
    found = [window for window in drawn if window is not None]
    return np.stack(found) if len(found) == len(drawn) else None


def from_many(text: Text, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator) -> np.ndarray | None:
    """A window of each document that is longer than one; None where none is, or none of the first 64 documents for each window."""
    drawn: list[np.ndarray] = []
    short = np.zeros(len(text.documents), dtype=bool)  # known to be no longer than a window
    read: dict[int, np.ndarray] | None = {} if len(text.documents) < spec.windows else None  # documents that will be gone through again
    while len(drawn) < spec.windows:
        before = len(drawn)
        for seen, index in enumerate(map(int, rng.permutation(len(text.documents)))):
            if not drawn and seen == _LOOKED_AT * spec.windows:
                return None
            if short[index]:
                continue
            if (window := _random_window(text, index, spec, length, reader, rng, read)) is None:
                short[index] = True
            else:
                drawn.append(window)
            if len(drawn) == spec.windows:
                break
        if len(drawn) == before:
            return None
    return np.stack(drawn)


def _random_window(text: Text, index: int, spec: Calibration, length: int, reader: Reader, rng: np.random.Generator,
                   read: dict[int, np.ndarray] | None) -> np.ndarray | None:
    """A window at a random place of a document; None where it is not longer than one. `read`: tokens of documents, kept here."""
    tokens = None if read is None else read.get(index)
    if tokens is None:
        document = text.documents[index]
        if text.long and len(document) > LONG:
            start = int(rng.integers(0, len(document) - piece_length(length)))
            return window_at(document, start, length, reader, special=spec.bos == "auto")
        if _BYTES * len(document) + _MARKS < length:  # a token has a byte or more
            return None
        tokens = np.asarray(reader.encode(document, special=spec.bos == "auto"), dtype=np.int64)
        if read is not None:
            read[index] = tokens
    if len(tokens) <= length:
        return None
    start = int(rng.integers(0, len(tokens) - length))
    return tokens[start : start + length]


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


def _is_long(text: Text, index: int) -> bool:
    return text.long and len(text.documents[index]) > LONG
