"""Answers that become files, when a person asks for one: in a thread of its own, without Streamlit."""

from __future__ import annotations

import time

from app.workers.answers import Answers
from app.workers.questions import Question

_PATIENCE = 120.0  # seconds that a download waits for its answer


class NoAnswer(Exception):
    """There is nothing to write, for a reason in words."""


def fetch(answers: Answers, question: Question, place: str) -> object:
    """The answer, however long it takes within reason. Raises NoAnswer."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        asked = answers.ask(question, place=place, wait=1.0)
        if asked.state == "ready":
            return asked.answer
        if asked.state == "failed":
            raise NoAnswer(asked.error or "No reason was given.")
    raise NoAnswer("It took too long. Ask again in a moment.")
