"""Models and texts that were found or received by content: where the names of a spec lead in this context. No torch.

A run names its model and texts as the machine does where it was asked for. A worker on another host has them elsewhere, or was sent
them; while it computes, their names mean these files (app/workers/away/).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Received:
    """Folders of models with their origin, and files of texts, by the name that a spec gives them."""

    models: Mapping[str, tuple[Literal["demo", "folder", "hub"], Path]]
    texts: Mapping[str, Path]


_here: ContextVar[Received | None] = ContextVar("received", default=None)


@contextmanager
def reading(received: Received) -> Generator[None]:
    """Inside, in this thread, these names mean the received files."""
    token = _here.set(received)
    try:
        yield
    finally:
        _here.reset(token)


def received_model(name: str) -> tuple[Literal["demo", "folder", "hub"], Path] | None:
    """Origin and folder of a received model; None where the name means what it always does."""
    here = _here.get()
    return here.models.get(name) if here else None


def received_text(name: str) -> Path | None:
    """File of a received text; None where the name means what it always does."""
    here = _here.get()
    return here.texts.get(name) if here else None
