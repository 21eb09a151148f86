"""Link of a page: RunSpec <-> URL words. What a stranger's link says is never trusted and never a crash.

The words are those of the command line (core/spec/flags.py), and the codec is the same (core/spec/codec.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from core.spec import RunSpec
from core.spec.flags import check_words, command_line, method_words, read_words, run_words, to_words
from core.spec.words import nearest, shortened

__all__ = ["check_words", "command_line", "from_words", "method_words", "nearest", "read_words", "run_words", "shortened", "to_words"]


def from_words(words: Mapping[str, str]) -> tuple[RunSpec, tuple[str, ...]]:
    """The run that a link asks for, and one sentence for each word that could not be used (its default is used instead)."""
    spec, refused = read_words(words)
    return spec, tuple(map(str, refused))
