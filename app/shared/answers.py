"""Asking the interactive worker from a page: the answer at once if it comes within a moment, else the old one, dimmed, until it comes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.shared import layout, resources, state
from app.workers.answers import Answers, Asked
from app.workers.questions import Question

WAIT = 0.35  # a page waits so long before it draws without the answer
POLL = 0.2
_RETURN = 2.0  # seconds between two looks whether lost workers are there again
_LOOK = 0.05
_TOGETHER = 1.0  # seconds of answers that a page draws together
_MOST = 2000  # answers that a place remembers


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Answer to show at a place on a page. `fits`: the answer is to the question asked now, not to an earlier one. `lost`: there is
    none for want of workers; the page goes on by itself when they are there."""

    answer: Any
    fits: bool
    waiting: bool = False
    problem: str | None = None
    lost: bool = False


def ask(question: Question, place: str, *, wait: float = WAIT) -> Shown:
    """The answer for a place on the page (a name of its own there). While it is being computed the page looks again by itself."""
    here = st.container()  # always there, so that what follows keeps its place on the page, and a chart is not drawn anew
    asked = _awaited(question, place, wait)
    if asked.state == "ready":
        state.remember(f"answer-{place}", asked.answer)
        return Shown(answer=asked.answer, fits=True)
    if asked.state == "computing" or asked.lost:
        with here:
            st.fragment(_look_again, run_every=_RETURN if asked.lost else POLL)(question, place, asked.lost)
    return Shown(answer=state.recall(f"answer-{place}", None), fits=False, waiting=asked.state == "computing", problem=asked.error,
                 lost=asked.lost)


def together(questions: Mapping[str, Question], *, wait: float) -> dict[str, Shown]:
    """Answers by place, once all have one or `wait` seconds are over; asked of the worker in this order.

    The page then looks again until all are there, and draws anew at most about once a second.
    """
    here = st.container()
    deadline = time.monotonic() + wait
    while True:
        found = {place: _answers().ask(question, place=_place(place)) for place, question in questions.items()}
        waiting = {place: question for place, question in questions.items() if found[place].state == "computing"}
        if not waiting or time.monotonic() >= deadline:
            break
        time.sleep(_LOOK)
    if waiting:
        with here:
            st.fragment(_look_again_together, run_every=POLL)(waiting, time.monotonic() + _TOGETHER)
    for place, asked in found.items():
        if asked.state == "ready":
            state.remember(f"answer-{place}", asked.answer)
    return {place: Shown(answer=state.recall(f"answer-{place}", None), fits=asked.state == "ready", waiting=asked.state == "computing",
                         problem=asked.error, lost=asked.lost) for place, asked in found.items()}


def look(question: Question, place: str, *, wait: float) -> Asked:
    """The answer if it comes within `wait` seconds; the place itself looks again."""
    return _awaited(question, place, wait)


def before(place: str) -> Shown:
    """The answer before, without asking anew: for questions that had better wait until the controls have settled. What was asked
    of them last is given up, so that what is asked meanwhile need not wait for it."""
    leave(place)
    return Shown(answer=state.recall(f"answer-{place}", None), fits=False, waiting=True)


def leave(place: str) -> None:
    """Nobody here waits any more for what this place asked: the worker ends it."""
    _answers().give_up(_place(place))


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Those of many answers that are there, each with its question, in the order asked; why some will not come; how many are to come."""

    answers: tuple[tuple[Any, Any], ...]
    problems: tuple[str, ...]
    waiting: int


def gather(questions: Sequence[Question], place: str, *, at_once: int = 2, wait: float = 0.0) -> Gathered:
    """Many answers, in order, a few asked at a time so that what is asked next elsewhere need not wait long. Call again for the rest.

    Waits at most `wait` seconds altogether. What is known is remembered by this tab.
    """
    answers, problems = state.recall(f"gathered-{place}", ({}, {}))
    deadline = time.monotonic() + wait
    asked = 0
    keys = [f"{type(question).__name__} {question.model_dump_json()}" for question in questions]
    for key, question in zip(keys, questions, strict=True):
        if key in answers or key in problems or asked >= at_once:
            continue
        found = _answers().ask(question, place=_place(f"{place}-{asked}"), wait=max(0.0, deadline - time.monotonic()))
        if found.state == "ready":
            answers[key] = found.answer
        elif found.state == "failed":
            problems[key] = found.error or ""
        else:
            asked += 1
    while len(answers) > _MOST:
        del answers[next(iter(answers))]
    state.remember(f"gathered-{place}", (answers, problems))
    there = tuple((question, answers[key]) for key, question in zip(keys, questions, strict=True) if key in answers)
    failed = tuple(problems[key] for key in keys if key in problems)
    return Gathered(answers=there, problems=failed, waiting=len(questions) - len(there) - len(failed))


def retry(place: str) -> None:
    """Forget why answers of this place did not come."""
    answers, _ = state.recall(f"gathered-{place}", ({}, {}))
    state.remember(f"gathered-{place}", (answers, {}))


def tell(shown: Shown, doing: str) -> None:
    """The line above an answer that is not there yet, or never will be. `doing`: "Solving this layer"."""
    if shown.problem:
        layout.note(shown.problem, tone="bad", title="There is no answer yet." if shown.lost else "This question could not be answered.")
    elif shown.waiting:
        layout.note(f"{doing} …" + (" Below is the answer before." if shown.answer is not None else ""))


def _awaited(question: Question, place: str, seconds: float) -> Asked:
    """The answer if it comes in time. Looking at the tab's state lets Streamlit end this run as soon as a control moves on."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        asked = _answers().ask(question, place=_place(place), wait=max(0.0, min(left, _LOOK)))
        if asked.state != "computing" or left <= 0:
            return asked


def _look_again(question: Question, place: str, lost: bool) -> None:
    asked = _answers().ask(question, place=_place(place))
    if asked.lost != lost or not (asked.lost or asked.state == "computing"):
        st.rerun()


def _look_again_together(waiting: Mapping[str, Question], patience: float) -> None:
    arrived = [_answers().ask(question, place=_place(place)).state != "computing" for place, question in waiting.items()]
    if all(arrived) or (any(arrived) and time.monotonic() >= patience):
        st.rerun()


def _answers() -> Answers:
    return resources.jobs().answers


def _place(name: str) -> str:
    """This tab's place of that name."""
    if not state.recall("tab", ""):
        state.remember("tab", uuid.uuid4().hex)
    return f"{state.recall('tab', '')} {name}"
