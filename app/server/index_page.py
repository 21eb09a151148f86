"""The one HTML file behind all pages: with the page's own title from the first byte on, and with the address of the server's root.

Streamlit's file knows neither. It is called "Streamlit" until its programs have run, and of `/layers` it asks first whether a server
answers below that path: two answers 404 for every link that is opened. A page whose programs did not arrive is loaded again (reload.js),
and an address that a page writes by itself is no step for Back to stop at (history.js).
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from app.shared.page_links import TITLES, tab_title

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A proxy may serve PruneScope below a path of its own, which only the browser knows: the root is what stands before the page's name.
ROOT_SCRIPT = ("window.__streamlit = {BACKEND_BASE_URL: location.origin + location.pathname.replace("
               f"/\\/({'|'.join(TITLES)})\\/?$/, '/')}}")
RELOAD_SCRIPT, HISTORY_SCRIPT = ((Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("reload.js", "history.js"))
SCRIPTS = (ROOT_SCRIPT, RELOAD_SCRIPT, HISTORY_SCRIPT)
_UNWANTED = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")  # of a file that is not sent as it lies there
_STALE = (b"content-length", b"etag", b"last-modified", b"accept-ranges")
_HEAD, _TITLE = b"<head>", b"<title>Streamlit</title>"


class IndexPage:
    """ASGI middleware that completes the file wherever it is the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].strip("/").rpartition("/")[2] if scope["type"] == "http" and scope["method"] == "GET" else None
        if name is None or (name and name not in TITLES):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def gather(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if not message.get("more_body") and start is not None:
                content = complete(body, name)
                headers = [pair for pair in start["headers"] if pair[0].lower() not in _STALE]
                await send({**start, "headers": [*headers, (b"content-length", str(len(content)).encode())]})
                await send({"type": "http.response.body", "body": content})

        wanted = [pair for pair in scope["headers"] if pair[0].lower() not in _UNWANTED]
        await self._app({**scope, "headers": wanted}, receive, gather)


def complete(body: bytes, name: str) -> bytes:
    """The file for the page of a name, "" for the bare address; what is not Streamlit's file stays as it is."""
    if _TITLE not in body:
        return body
    title = tab_title(TITLES[name or next(iter(TITLES))])
    return body.replace(_TITLE, f"<title>{escape(title)}</title>".encode(), 1).replace(
        _HEAD, _HEAD + "".join(f"<script>{script}</script>" for script in SCRIPTS).encode(), 1)
