"""The words of the Masks page beside those of a run: where the loupe is, and what the other mask differs in. Read and checked here."""

from __future__ import annotations

from app.masks.questions import WINDOW
from app.shared import address, link
from core.spec import RunSpec
from core.spec.errors import BadInput
from core.spec.flags import method_words

WINDOW_WORDS = ("row", "column")
OTHER_WORDS = ("b_method", "b_pattern", "b_block_size", "b_alpha")
OWN = ("layer", *WINDOW_WORDS, *OTHER_WORDS)
_LONGEST = 9  # digits of a row or column


def read_place(word: str, text: str, size: int) -> int:
    """A row or column where the loupe begins. Raises BadInput, naming the word."""
    if not text:
        return 0
    if not text.isdecimal() or len(text) > _LONGEST or int(text) >= size:
        raise BadInput(word, text, f"whole numbers from 0 to {size - 1}", "Count from 0.")
    return int(text)


def other_spec(spec: RunSpec, words: dict[str, str]) -> tuple[RunSpec | None, tuple[str, ...]]:
    """Spec of the other mask: as `spec`, but for what the words `b_…` say. None, and why, where that cannot be.

    Another method has its own defaults.
    """
    told = {word.removeprefix("b_"): text for word, text in words.items() if text}
    mine = link.to_words(spec)
    if told.get("method", spec.method.name) != spec.method.name:
        mine = {word: text for word, text in mine.items() if word not in method_words()}
    if told.get("alpha") == "0":
        mine.pop("alpha_budget", None)
    found, complaints = link.check_words({**mine, **told})
    return found, tuple(f"B: {text}" for text in complaints)


def read_window(shape: tuple[int, int]) -> tuple[int, int]:
    """Start of the loupe, from the link; a bad word is reported."""
    found: list[int] = []
    for word, size in zip(WINDOW_WORDS, shape, strict=True):
        try:
            at = read_place(word, address.word(word), size)
        except BadInput as error:
            address.refuse(word, f"{error} Used instead: 0.")
            at = 0
        found.append(max(0, min(at, size - WINDOW)))
    return found[0], found[1]
