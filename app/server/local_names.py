"""Names under which a server that asks for nothing is answered: those of this machine alone.

A page anywhere may have a name of its own lead to 127.0.0.1 (DNS rebinding): to the browser both are then the same site, and what the
server shows could be read there. The name that was asked for tells them apart.
"""

from __future__ import annotations

from html import escape
from ipaddress import ip_address
from typing import TYPE_CHECKING

from app.server.gate import HEALTH, respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LocalNames:
    """ASGI middleware; `address` is the one that the server listens on."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._app, self._address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _name(scope) if scope["type"] in ("http", "websocket") else ""
        if is_local(name) or name == self._address or (scope["type"] == "http" and scope["path"] == HEALTH):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await respond(send, 403, _page(name))


def is_local(name: str) -> bool:
    """True for localhost, names below it and loopback addresses; and for no name at all, which no browser sends."""
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name(scope: Scope) -> str:
    """The host that was asked for, without port and brackets, in lower case."""
    text = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "").strip().lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def _page(name: str) -> str:
    return f"""<!doctype html><html lang="en" style="color-scheme: light dark"><meta charset="utf-8"><title>PruneScope</title>
<body style="font: 16px/1.5 sans-serif; max-width: 34em; margin: 4em auto; padding: 0 1em">
<h1 style="font-size: 1.4em">Not under this name</h1>
<p>This server asks for no token, and is answered as localhost alone; it was asked for as {escape(name[:100])}. Open it as
http://localhost with its port, or, where it stands behind a proxy, start it with PRUNESCOPE_TOKEN set.</p></body></html>"""
