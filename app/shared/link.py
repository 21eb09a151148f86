"""The link of a page: RunSpec <-> URL words. What a stranger's link says is never trusted and never a crash.

The words are those of the command line (core/spec/flags.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from core.spec import RunSpec
from core.spec.flags import METHOD_WORDS, WORDS, check_words, command_line, nearest, read_words, to_words

__all__ = ["METHOD_WORDS", "WORDS", "check_words", "command_line", "from_words", "nearest", "read_words", "shortened", "to_words"]


def from_words(words: Mapping[str, str]) -> tuple[RunSpec, tuple[str, ...]]:
    """The run that a link asks for, and one sentence for each word that could not be used (its default is used instead)."""
    spec, refused = read_words(words)
    return spec, tuple(f"{item.word}: {shortened(item.reason.value)} cannot be used. Allowed: {item.reason.allowed}. "
                       + ("It is left out." if item.used is None else f"Used instead: {item.used}.") for item in refused)


def shortened(value: object) -> str:
    """A text that somebody wrote, in quotation marks, cut where it is long."""
    text = str(value)
    return repr(text) if len(text) <= 60 else repr(text[:57] + "...")
