"""Redirects: the Explore page has the bare address, and `/explore` leads there with its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Redirects:
    """ASGI middleware: without it Streamlit says of `/explore` that the page does not exist."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].rstrip("/") == "/explore":
            query = scope.get("query_string", b"")
            headers = [(b"location", b"/?" + query if query else b"/")]
            await send({"type": "http.response.start", "status": 307, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)
