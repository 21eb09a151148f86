"""Request of the Curves page as words of its link: read, checked, written. The words are those of `python -m core sweep`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from app.shared import link
from app.shared.charts.series import SCALES, Scale
from app.shared.sweeps.grid import BLOCK_METHODS, SHOWN_ALPHAS, SHOWN_BLOCKS, SHOWN_METHODS, SHOWN_PATTERNS
from core.spec import METHODS, RunSpec, parse_pattern
from core.spec.errors import BadInput
from core.spec.flags import CALIBRATION_WORDS, EVALUATION_WORDS, RUN_WORDS
from core.spec.patterns import pattern_word

MOST = 40  # values of a list: a link must not ask for thousands of runs
MOST_SEEDS = 20
BASE_WORDS = tuple(word for word in (*RUN_WORDS, *CALIBRATION_WORDS, *EVALUATION_WORDS) if word != "seed")
BUDGETS = {"paper": "p of the other rows", "iso": "p of all rows"}


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A view of the page: its label, and its lists with their defaults, as texts."""

    label: str
    lists: Mapping[str, tuple[str, ...]]
    methods: tuple[str, ...] = tuple(METHODS)


TABS: dict[str, Tab] = {
    "sparsity": Tab(label="Sparsity", lists={"methods": SHOWN_METHODS, "patterns": SHOWN_PATTERNS["unstructured"], "seeds": ("1",)}),
    "blocks": Tab(label="Block size B", methods=BLOCK_METHODS, lists={
        "methods": ("thanos",), "patterns": ("2:4",), "block_sizes": tuple(map(str, SHOWN_BLOCKS)), "seeds": ("1",)}),
    "alpha": Tab(label="Outlier rows α", lists={
        "methods": ("thanos",), "patterns": ("columns:0.3",), "alphas": tuple(f"{alpha:g}" for alpha in SHOWN_ALPHAS),
        "budgets": ("paper", "iso"), "seeds": ("3",)}),
    "time": Tab(label="Time and memory", lists={"methods": SHOWN_METHODS, "patterns": ("0.5",), "seeds": ("1",)}),
}
FIRST = "sparsity"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A tab, what all runs share, the lists of the tab as checked texts, and the axis of perplexity."""

    tab: str
    base: RunSpec
    lists: Mapping[str, tuple[str, ...]]
    scale: Scale = "auto"


def read(words: Mapping[str, str]) -> tuple[Asked, tuple[str, ...]]:
    """Request of a link, and one sentence for each word that could not be used. Never raises."""
    tab = words.get("tab", FIRST)
    notes: list[str] = []
    if tab not in TABS:
        notes.append(_note(BadInput("tab", tab, ", ".join(TABS), ""), FIRST))
        tab = FIRST
    scale: Scale | None = next((name for name in SCALES if name == words.get("scale", "auto")), None)
    if scale is None:
        notes.append(_note(BadInput("scale", words["scale"], ", ".join(SCALES), ""), "auto"))
    lists = dict(TABS[tab].lists)
    for word in (word for word in lists if word in words):
        try:
            lists[word] = check(tab, word, [text for text in words[word].split(",") if text.strip()])
        except BadInput as error:
            notes.append(_note(error, ",".join(lists[word])))
    allowed = (*BASE_WORDS, *lists)
    base, more = link.from_words({word: text for word, text in words.items() if word in BASE_WORDS})
    strange = [word for word in islice(words, link.MOST_WORDS) if word not in ("tab", "scale", *allowed)]
    notes += [*more, *(_stranger(word, (*allowed, "scale")) for word in strange)]
    return Asked(tab=tab, base=base, lists=lists, scale=scale or "auto"), tuple(notes)


def write(asked: Asked) -> dict[str, str]:
    """The link of what is asked; defaults are left out."""
    words = {"tab": asked.tab} if asked.tab != FIRST else {}
    words |= {word: text for word, text in link.to_words(asked.base).items() if word in BASE_WORDS}
    words |= {"scale": asked.scale} if asked.scale != "auto" else {}
    usual = TABS[asked.tab].lists
    return words | {word: ",".join(texts) for word, texts in asked.lists.items() if texts != usual[word]}


def check(tab: str, word: str, texts: Sequence[str]) -> tuple[str, ...]:
    """A list of a tab in its shortest form, each value once. Raises BadInput, naming the word."""
    if not texts or len(texts) > MOST:
        raise BadInput(word, ",".join(texts), f"1 to {MOST} values", "Choose at least one." if not texts else "Choose fewer.")
    known = tuple(dict.fromkeys(_CHECKS[word](tab, text.strip()) for text in texts))
    if word == "patterns":
        kinds = {parse_pattern(text).kind for text in known}
        if tab != "sparsity" and len(known) > 1:
            raise BadInput(word, ",".join(texts), "one pattern", "Only the first view compares patterns.")
        if len(kinds) > 1:
            raise BadInput(word, ",".join(texts), "patterns of one kind", "Counted sparsities of different kinds are not one curve.")
    return known


def _method(tab: str, text: str) -> str:
    if text not in TABS[tab].methods:
        raise BadInput("methods", text, ", ".join(TABS[tab].methods), "Choose among these.")
    return text


def _pattern(_: str, text: str) -> str:
    try:
        return pattern_word(parse_pattern(text))
    except ValidationError as error:
        raise BadInput("patterns", text, "0 to 0.99 (or 0 % to 99 %), n:m with n up to m", "Write it so.") from error


def _whole(word: str, least: int, most: int) -> Callable[[str, str], str]:
    def read(_: str, text: str) -> str:
        try:
            value = int(text)
        except ValueError as error:
            raise BadInput(word, text, f"whole numbers, {least} to {most}", "Write it so.") from error
        if not least <= value <= most:
            raise BadInput(word, text, f"whole numbers, {least} to {most}", "Write it so.")
        return str(value)

    return read


def _alpha(_: str, text: str) -> str:
    try:
        value = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise BadInput("alphas", text, "0 to 0.9", "Write it so.") from error
    if not 0 <= value <= 0.9:
        raise BadInput("alphas", text, "0 to 0.9", "Write it so.")
    return f"{value:g}"


def _budget(_: str, text: str) -> str:
    if text not in BUDGETS:
        raise BadInput("budgets", text, ", ".join(BUDGETS), "Choose among these.")
    return text


_CHECKS: dict[str, Any] = {"methods": _method, "patterns": _pattern, "block_sizes": _whole("block_sizes", 1, 1_000_000), "alphas": _alpha,
                           "budgets": _budget, "seeds": _whole("seeds", 1, MOST_SEEDS)}


def _stranger(word: str, allowed: Sequence[str]) -> str:
    near = link.nearest(word, allowed)
    perhaps = f"; perhaps {near} is meant" if near else ""
    return f"{link.shortened(word)} is no word of this view{perhaps}. It is left out."


def _note(error: BadInput, used: str) -> str:
    return f"{error.field}: {link.shortened(error.value)} cannot be used. Allowed: {error.allowed}. Used instead: {used}."
