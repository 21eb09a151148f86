"""The door: every request and every websocket shows the token, or the cookie that it was exchanged for.

    GET /any?token=T      -> 302 to the same address without it, with a cookie          POST /token (a form)  -> the same
    Authorization: Bearer T (or: token T)                                               GET /_stcore/health   is open
"""

from __future__ import annotations

from html import escape
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from app.server.access_token import same, session_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH = "/_stcore/health"
_FORM = "/token"
_MOST = 4096  # bytes of a form
_DAYS = 30


class Gate:
    """ASGI middleware; `token` opens it."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token, self._session = app, token, session_of(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket") or (kind == "http" and scope["path"] == HEALTH):
            await self._app(scope, receive, send)
        elif kind == "http" and scope["method"] == "POST" and scope["path"] == _FORM:
            await self._read_form(scope, receive, send)
        elif kind == "http" and scope["method"] == "GET" and (given := self._given_in_address(scope)) is not None:
            await self._answer(scope, send, given, _without_token(scope))
        elif self._knows(scope):
            await self._app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await respond(send, 401, _page(_without_token(scope), wrong=False))

    def _knows(self, scope: Scope) -> bool:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"cookie", b"authorization")}
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() in ("bearer", "token") and same(given.strip(), self._token):
            return True
        return same(_cookie(headers.get(b"cookie", ""), _cookie_name(scope)), self._session)

    @staticmethod
    def _given_in_address(scope: Scope) -> str | None:
        words = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return next((value for name, value in words if name == "token"), None)

    async def _read_form(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while len(body) <= _MOST:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        words = dict(parse_qsl(body[:_MOST].decode("latin-1")))
        await self._answer(scope, send, words.get("token", ""), words.get("next", "/"))

    async def _answer(self, scope: Scope, send: Send, given: str, place: str) -> None:
        """To `place` on this server with a cookie, if the token is right; else the form."""
        place = place if _is_here(place) else "/"
        if not same(given, self._token):
            await respond(send, 401, _page(place, wrong=True))
            return
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{_cookie_name(scope)}={self._session}; Path=/; Max-Age={_DAYS * 86400}; HttpOnly; SameSite=Lax{secure}"
        await respond(send, 303, "", ((b"location", place.encode()), (b"set-cookie", cookie.encode())))


def _cookie_name(scope: Scope) -> str:
    """One for each port: cookies do not tell ports of a host apart."""
    return f"prunescope-{(scope.get('server') or ('', 0))[1] or 0}"


def _cookie(header: str, name: str) -> str:
    jar = SimpleCookie()
    try:
        jar.load(header)
    except Exception:  # a header that somebody made up
        return ""
    return jar[name].value if name in jar else ""


def _without_token(scope: Scope) -> str:
    words = [pair for pair in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True) if pair[0] != "token"]
    return quote(scope["path"], safe="/-._~") + (f"?{urlencode(words)}" if words else "")


def _is_here(place: str) -> bool:
    """True for a path on this server: no other host, no second line in a header."""
    return place.startswith("/") and not place.startswith("//") and "\\" not in place and place.isascii() and place.isprintable()


async def respond(send: Send, status: int, body: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Answer with a page of HTML."""
    content = body.encode()
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(content)).encode()), (b"cache-control", b"no-store"),
        *headers]})
    await send({"type": "http.response.body", "body": content})


def _page(place: str, *, wrong: bool) -> str:
    said = "That is not the token of this server. " if wrong else ""
    return f"""<!doctype html><html lang="en" style="color-scheme: light dark"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>PruneScope asks for its token</title>
<body style="font: 16px/1.5 sans-serif; max-width: 34em; margin: 4em auto; padding: 0 1em">
<h1 style="font-size: 1.4em">PruneScope asks for its token</h1>
<p>{said}The server printed it when it started, with a link that holds it; it is also in the file <code>token</code> in its home.</p>
<form method="post" action="{_FORM}"><input type="hidden" name="next" value="{escape(place, quote=True)}">
<label>Token <input name="token" type="password" autocomplete="current-password" autofocus size="40"></label>
<button>Open</button></form></body></html>"""
