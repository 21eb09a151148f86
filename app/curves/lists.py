"""Lists of the Curves page: checked texts, each value once, in its shortest form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, ValidationError

from app.shared.sweeps.grid import block_methods
from core.spec import EVERY_METHOD, parse_pattern
from core.spec.errors import BadInput
from core.spec.patterns import pattern_word

MOST = 40  # values of a list: a link must not ask for thousands of runs
MOST_SEEDS = 20
BUDGETS = {"paper": "p of the other rows", "iso": "p of all rows"}


def _method(text: str) -> str:
    if text not in EVERY_METHOD:
        raise BadInput("methods", text, ", ".join(EVERY_METHOD), "Choose among these.")
    return text


def _block_method(text: str) -> str:
    if text not in block_methods():
        raise BadInput("methods", text, ", ".join(block_methods()), "Choose among these.")
    return text


def _pattern(text: str) -> str:
    try:
        return pattern_word(parse_pattern(text))
    except ValidationError as error:
        raise BadInput("patterns", text, "0 to 0.99 (or 0 % to 99 %), n:m with n up to m", "Write it so.") from error


def _whole(word: str, least: int, most: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            value = int(text)
        except ValueError as error:
            raise BadInput(word, text, f"whole numbers, {least} to {most}", "Write it so.") from error
        if not least <= value <= most:
            raise BadInput(word, text, f"whole numbers, {least} to {most}", "Write it so.")
        return str(value)

    return read


def _alpha(text: str) -> str:
    try:
        value = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise BadInput("alphas", text, "0 to 0.9", "Write it so.") from error
    if not 0 <= value <= 0.9:
        raise BadInput("alphas", text, "0 to 0.9", "Write it so.")
    return f"{value:g}"


def _budget(text: str) -> str:
    if text not in BUDGETS:
        raise BadInput("budgets", text, ", ".join(BUDGETS), "Choose among these.")
    return text


def _list(word: str, check: Callable[[str], str]) -> AfterValidator:
    """A list in its shortest form, each value once."""

    def validate(texts: tuple[str, ...]) -> tuple[str, ...]:
        if not texts or len(texts) > MOST:
            raise BadInput(word, ",".join(texts), f"1 to {MOST} values", "Choose at least one." if not texts else "Choose fewer.")
        return tuple(dict.fromkeys(check(text.strip()) for text in texts))

    return AfterValidator(validate)


Texts = tuple[str, ...]
Methods = Annotated[Texts, _list("methods", _method)]
BlockMethods = Annotated[Texts, _list("methods", _block_method)]
Patterns = Annotated[Texts, _list("patterns", _pattern)]
BlockSizes = Annotated[Texts, _list("block_sizes", _whole("block_sizes", 1, 1_000_000))]
Alphas = Annotated[Texts, _list("alphas", _alpha)]
Budgets = Annotated[Texts, _list("budgets", _budget)]
Seeds = Annotated[Texts, _list("seeds", _whole("seeds", 1, MOST_SEEDS))]
