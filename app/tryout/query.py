"""Words of the Try it out page's link beside those of a run: which tasks, how many examples, which metric."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from core.evaluate.embedded_task import NAME
from core.spec.errors import BadInput

OWN = ("view", "tasks", "limit", "metric")
VIEWS = {"scores": "Zero-shot tasks", "text": "Text side by side"}
LIMITS: dict[str, int | None] = {"all": None, "100": 100, "400": 400}
METRICS = {"acc": "acc: the most likely answer", "acc_norm": "acc_norm: the most likely per character"}
_NAME = re.compile(r"[\w.+-]{1,100}", re.ASCII)
_MOST = 20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Request of the page's link."""

    tasks: tuple[str, ...] = (NAME,)
    limit: int | None = None
    metric: str = "acc"


def read(word: Callable[[str], str], refuse: Callable[[str, str], None]) -> Asked:
    """Read the link's words. A word that cannot be used is refused, with the reason, and its usual value taken."""
    usual = Asked()
    values: dict[str, object] = {}
    for name, check in (("tasks", _tasks), ("limit", _limit), ("metric", _metric)):
        text = word(name)
        try:
            values[name] = check(text) if text else getattr(usual, name)
        except BadInput as error:
            refuse(name, str(error))
            values[name] = getattr(usual, name)
    return Asked(**values)  # type: ignore[arg-type]


def read_view(word: Callable[[str], str], refuse: Callable[[str, str], None]) -> str:
    """The view of the page; one that it does not have is refused."""
    view = word("view") or "scores"
    if view not in VIEWS:
        refuse("view", str(BadInput("view", view, ", ".join(VIEWS), "Choose one of these.")))
        return "scores"
    return view


def _tasks(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not 0 < len(names) <= _MOST or not all(_NAME.fullmatch(name) for name in names):
        raise BadInput("tasks", text, f"1 to {_MOST} names of tasks with commas", "Choose them on the page.")
    return names


def _limit(text: str) -> int | None:
    if text not in LIMITS:
        raise BadInput("limit", text, ", ".join(LIMITS), "Choose one of these.")
    return LIMITS[text]


def _metric(text: str) -> str:
    if text not in METRICS:
        raise BadInput("metric", text, ", ".join(METRICS), "Choose one of these.")
    return text
