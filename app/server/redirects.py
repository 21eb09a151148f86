"""Redirects: the Explore page has the bare address, and `/explore` leads there with its settings; a link to a lesson becomes whole.

A page that wrote the rest of its link by itself would make a second entry in the browser's history, from which Back leads to the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from app.shared import lessons

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Redirects:
    """ASGI middleware: without it Streamlit says of `/explore` that the page does not exist."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = _place(scope) if scope["type"] == "http" else None
        if place is not None:
            await send({"type": "http.response.start", "status": 307, "headers": [(b"location", place), (b"cache-control", b"no-store")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


def _place(scope: Scope) -> bytes | None:
    """The address that a request is sent to, or None where it stays."""
    words: bytes = scope.get("query_string", b"")
    page = scope["path"].rstrip("/")
    if page == "/explore":
        return b"/?" + words if words else b"/"
    return _whole_lesson(words) if page == "/learn" and scope["method"] == "GET" else None


def _whole_lesson(words: bytes) -> bytes | None:
    """The words of a lesson with those that it means and does not say; None where it says all, or something that the page must tell."""
    given = dict(parse_qsl(words.decode("latin-1"), keep_blank_values=True))
    lesson, notes = lessons.parse(given)
    rest = {word: text for word, text in lessons.to_words(lesson).items() if word not in given}
    return b"?" + urlencode({**given, **rest}).encode("ascii") if rest and not notes else None
