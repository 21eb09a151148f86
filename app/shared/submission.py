"""Submission of a run from a page."""

from __future__ import annotations

import hashlib
import secrets

from app.shared import access, controls, resources, state
from app.shared.browser import browser
from core.spec import RunSpec
from core.spec.errors import PruneError


def start(spec: RunSpec) -> None:
    """Ask for a run. What prevents it is shown as it is."""
    state.forget("opened")
    try:
        resources.jobs().submit(spec, group=asker())
        state.forget("refused")
    except PruneError as error:
        state.remember("refused", (spec, str(error)))


def asker() -> str:
    """A word for this person: who has signed in, else this browser, else this session. The queue takes turns between persons, and limits
    how many runs each may have."""
    if person := access.person() or browser():
        return hashlib.sha256(person.encode()).hexdigest()[:12]
    word = state.recall("asker", "")
    if not word:
        word = secrets.token_hex(4)
        state.remember("asker", word)
    return word


def start_demo(spec: RunSpec) -> None:
    """Set the controls to the example and run it."""
    controls.fill(spec)
    start(spec)
