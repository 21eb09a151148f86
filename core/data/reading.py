"""Token ids of parts of a text, without reading the rest of it: its first tokens, or a window from the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

LETTERS = 8  # characters of a text that are read for each token wanted of it; most tokenizers need 3 to 5
_CUT = 8  # tokens at a cut that are left out, as the text before them could change them: merges reach a word or two


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


def first_tokens(documents: Sequence[str], count: int | None, reader: Reader, *, special: bool) -> list[int] | np.ndarray:
    """At least the first `count` token ids of the documents joined with a blank line (all: None), if there are so many. Of a long text no
    more is read than they need: a beginning and a longer one must agree on them, as an end that is cut may be read otherwise."""
    short = LETTERS * (count or 0) + 4096
    if count is not None and len(text := _beginning(documents, 4 * short)) > 4 * short:
        first, again = (reader.encode(text[:end], special=special)[:count] for end in (short, short + short // 8))
        if len(first) == count and np.array_equal(first, again):
            return first
    return reader.encode("\n\n".join(documents), special=special)


def _beginning(documents: Sequence[str], characters: int) -> str:
    """As many of the documents, joined with a blank line, as have more than so many characters; all where they have no more."""
    taken, length = list[str](), 0
    for document in documents:
        taken.append(document[: characters + 1])
        length += len(taken[-1]) + 2
        if length > characters + 2:
            break
    return "\n\n".join(taken)


def piece_length(length: int) -> int:
    """Characters that are read for a window of so many tokens from the middle of a text."""
    return LETTERS * (length + 2 * _CUT)


def window_at(text: str, start: int, length: int, reader: Reader, *, special: bool) -> np.ndarray | None:
    """The window [length] of the text that begins a few tokens after character `start`, int64; None where the text has too few tokens.

    Read are `piece_length(length)` characters; twice as many each time that they have too few tokens, from an earlier place where the text
    ends. `special`: the tokens that the tokenizer puts before a text belong to its beginning, and are there at start 0 alone.
    """
    size = piece_length(length)
    while True:
        start = max(0, min(start, len(text) - size))
        skipped = _CUT if start else 0
        tokens = reader.encode(text[start : start + size], special=special and not start)
        if len(tokens) >= skipped + length + _CUT or (size >= len(text) and len(tokens) >= length):
            return np.asarray(tokens[skipped : skipped + length], dtype=np.int64)
        if size >= len(text):
            return None
        size *= 2
