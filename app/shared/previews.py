"""The preview of a run: a slow method's comes twice, from a few rows at once and then from all."""

from __future__ import annotations

from dataclasses import replace

from app.shared import answers, state
from app.shared.answers import Shown
from app.shared.questions.preview import PreviewQuestion
from core.spec import RunSpec

_ALL = "all-rows"


def first(spec: RunSpec) -> PreviewQuestion:
    """First question of a preview. An earlier one of another spec ends before that: the same worker computes both."""
    if state.recall(f"{_ALL}-of", None) != spec:
        answers.leave(_ALL)
    return PreviewQuestion(spec=spec, at_once=True)


def best(spec: RunSpec, shown: Shown) -> Shown:
    """The answer to `first`; where it is from a few rows, the one from all as soon as that is there."""
    if not shown.fits or shown.answer.rows is None:
        return shown
    state.remember(f"{_ALL}-of", spec)
    whole = answers.ask(PreviewQuestion(spec=spec), _ALL, wait=0.0)
    return whole if whole.fits else replace(whole, answer=shown.answer, fits=True)


def standing(rows: int | None) -> str:
    """Name of such an answer."""
    return "" if rows is None else f"estimate from {rows} rows of each layer"
