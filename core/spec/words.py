"""Words of a link, a command line or a form: text of a value, refused words, the nearest known word. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from core.spec.errors import BadInput, short_name

Words = Mapping[str, object]  # texts; a form may give values
_LONGEST, _MOST_STRANGERS = 60, 64


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A word that was not taken over: why, and what stands in its place (None: nothing)."""

    word: str
    reason: BadInput
    used: str | None = None

    def __str__(self) -> str:
        ending = "It is left out." if self.used is None else f"Used instead: {self.used}."
        return f"{short_name(self.word)}: {shortened(self.reason.value)} cannot be used. Allowed: {self.reason.allowed}. {ending}"


def text(value: object) -> str:
    """A value as a word says it."""
    if value is None:
        return "automatic"
    if isinstance(value, tuple):
        return ",".join(map(text, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return str(value).lower() if isinstance(value, bool) else str(value)


def strangers(words: Words, known: Sequence[str]) -> list[Refused]:
    """The words that are not among the known ones, the first 64 of them: what is said about a link stays short."""
    strange = islice((word for word in words if word not in known), _MOST_STRANGERS)
    return [Refused(word=word, reason=BadInput(_cut(word), words[word], _like(_cut(word), known), "Leave it out.")) for word in strange]


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that is most like another; empty if none is."""
    return next(iter(get_close_matches(word, known, n=1)), "")


def shortened(value: object) -> str:
    """A text that somebody wrote, in quotation marks, cut where it is long."""
    return repr(_cut(str(value)))


def _cut(written: str) -> str:
    return written if len(written) <= _LONGEST else f"{written[:_LONGEST - 3]}..."


def _like(word: str, known: Sequence[str]) -> str:
    """Known words like this one, in brief."""
    near = nearest(word, known)
    if near or len(known) < 2:
        return f"the known words, perhaps {near}" if near else "no words"
    return f"the known words, such as {', '.join(known[:2])} and {known[-1]}"


def among(words: Words, known: Sequence[str]) -> dict[str, object]:
    """Those of the words that are known."""
    return {word: words[word] for word in known if word in words}
