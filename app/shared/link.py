"""Link of a page: RunSpec <-> URL words. What a stranger's link says is never trusted and never a crash.

The words are those of the command line (core/spec/flags.py), and the codec is the same (core/spec/codec.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from core.spec import RunSpec
from core.spec.flags import check_words, command_line, method_words, read_words, run_words, to_words
from core.spec.words import nearest, shortened

__all__ = ["bounded", "check_words", "command_line", "from_words", "method_words", "nearest", "read_words", "run_words", "shortened",
           "to_words"]
LONGEST, MOST_WORDS = 1024, 64  # letters of a word and its value; words of a link


def from_words(words: Mapping[str, str]) -> tuple[RunSpec, tuple[str, ...]]:
    """The run that a link asks for, and one sentence for each word that could not be used (its default is used instead)."""
    kept, notes = bounded(words)
    spec, refused = read_words(kept)
    return spec, (*notes, *map(str, refused))


def bounded(words: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The words of a link that are short enough to be read, at most MOST_WORDS of them, and a sentence about the others."""
    kept = {word: text for word, text in words.items() if len(word) <= LONGEST and len(text) <= LONGEST}
    kept = dict(islice(kept.items(), MOST_WORDS))
    if len(kept) == len(words):
        return kept, ()
    return kept, (f"{len(words) - len(kept)} of its {len(words)} words are too long or too many. "
                  f"Allowed: {MOST_WORDS} words of at most {LONGEST:,} letters. The others are left out.",)
