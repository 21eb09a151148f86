"""A cookie that tells browsers apart, so that the tabs of one are one person to the queue (app/workers/limits.py). It holds nothing but a
random word, opens nothing, and stays on this server."""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from app.shared.browser import COOKIE, is_word

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DAYS = 365


class Browsers:
    """ASGI middleware: a browser that has no word yet is given one with the page itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "http" and scope["method"] == "GET" and not _known(scope)

        async def give(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                cookie = f"{COOKIE}={secrets.token_hex(16)}; Path=/; Max-Age={_DAYS * 86400}; HttpOnly; SameSite=Lax{secure}"
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
            await send(message)

        await self._app(scope, receive, give if wanted else send)


def _known(scope: Scope) -> bool:
    jar = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:  # a header that somebody made up
                return False
    return COOKIE in jar and is_word(jar[COOKIE].value)


def _is_page(message: Message) -> bool:
    kind = next((value for name, value in message.get("headers", ()) if name.lower() == b"content-type"), b"")
    return message["status"] == 200 and kind.startswith(b"text/html")
