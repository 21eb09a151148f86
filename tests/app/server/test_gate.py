"""The door: nothing is answered without the token, the token does not stay in the address, and no answer leads elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.server import access_token
from app.server.gate import Gate
from core.spec.errors import BadInput

pytestmark = pytest.mark.faults
TOKEN = "a-token-of-the-tests"


def ask(path: str = "/", query: str = "", *, kind: str = "http", method: str = "GET", body: bytes = b"",
        **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of one request. 999: it reached the application behind the door. 0: a websocket was closed."""
    sent: list[dict[str, Any]] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 999, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": kind, "path": path, "query_string": query.encode("latin-1", "replace"), "method": method,
             "server": ("127.0.0.1", 8501), "scheme": "http",
             "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]}
    asyncio.run(Gate(behind, TOKEN)(scope, receive, send))
    if sent[0]["type"] == "websocket.close":
        return 0, {}, ""
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, b"".join(m.get("body", b"") for m in sent).decode()


def cookie() -> str:
    return ask("/", f"token={TOKEN}")[1]["set-cookie"].partition(";")[0]


def test_a_link_with_the_token_is_exchanged_for_a_cookie_and_an_address_without_it() -> None:
    status, headers, _ = ask("/curves", f"pattern=2%3A4&token={TOKEN}&model=demo")
    assert (status, headers["location"]) == (303, "/curves?pattern=2%3A4&model=demo")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(headers["set-cookie"].split("; "))
    assert TOKEN not in str(headers)
    assert ask("/curves", cookie=f"other=1; {cookie()}")[0] == 999
    assert ask("/_stcore/stream", kind="websocket", cookie=cookie())[0] == 999


@pytest.mark.parametrize(("path", "kind"), [("/", "http"), ("/_stcore/stream", "websocket"), ("/_stcore/host-config", "http"),
                                            ("/media/x.png", "http"), ("/_stcore/upload_file/a/b", "http"),
                                            ("/_stcore/health", "websocket")])
@pytest.mark.parametrize("headers", [{}, {"cookie": "prunescope-8501=wrong"}, {"cookie": "prunescope-8501"},
                                     {"authorization": "Bearer wrong"},
                                     {"cookie": f"prunescope-8501={TOKEN}"}, {"cookie": "\x00;;=\xff"}, {"authorization": "Bearer"}])
def test_nothing_is_answered_without_it(path: str, kind: str, headers: dict[str, str]) -> None:
    status, _, body = ask(path, kind=kind, **headers)
    assert status == (401 if kind == "http" else 0)
    assert TOKEN not in body


def test_health_is_open_and_programs_send_a_header() -> None:
    assert ask("/_stcore/health")[0] == 999
    assert ask("/", authorization=f"Bearer {TOKEN}")[0] == ask("/", authorization=f"token {TOKEN}")[0] == 999


def test_a_wrong_token_in_the_address_is_refused_even_with_a_cookie() -> None:
    status, headers, body = ask("/", "token=wrong", cookie=cookie())
    assert status == 401
    assert "set-cookie" not in headers
    assert "not the token" in body


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nset-cookie: x=1", "",
                                   "javascript:x"])
def test_the_form_leads_nowhere_else(place: str) -> None:
    from urllib.parse import urlencode

    status, headers, _ = ask("/token", method="POST", body=urlencode({"token": TOKEN, "next": place}).encode())
    assert (status, headers["location"]) == (303, "/")
    assert ask("/token", method="POST", body=urlencode({"token": TOKEN, "next": "/runs?a=1"}).encode())[1]["location"] == "/runs?a=1"
    assert ask("/token", method="POST", body=b"token=no&next=/runs")[0] == 401


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100)
def test_no_address_breaks_the_door_or_leaves_the_server(path: str, query: str) -> None:
    from urllib.parse import quote

    status, headers, body = ask("/" + path, f"token={TOKEN}&x={quote(query)}")
    assert status == 303
    place = headers["location"]
    assert place.startswith("/")
    assert not place.startswith("//")
    assert "\n" not in place
    assert TOKEN not in place
    status, _, body = ask("/" + path, quote(query))
    assert status in (401, 999)
    assert "<script" not in body.lower()


def test_the_token_is_made_once_for_its_owner_alone(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = access_token.read_token(tmp_path)
    assert len(token) == 64
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert access_token.read_token(tmp_path) == token
    (tmp_path / "token").chmod(0o640)
    with pytest.raises(BadInput, match="its owner alone"):
        access_token.read_token(tmp_path)
    monkeypatch.setenv("PRUNESCOPE_TOKEN", "short")
    with pytest.raises(BadInput, match="at least 16") as caught:
        access_token.read_token(tmp_path)
    assert "short" not in str(caught.value).replace("shorter", "")
    monkeypatch.setenv("PRUNESCOPE_TOKEN", TOKEN)
    assert access_token.read_token(tmp_path) == TOKEN


@pytest.mark.parametrize(("address", "expected"), [("localhost", False), ("127.0.0.1", False), ("::1", False), ("127.8.0.1", False),
                                                   ("0.0.0.0", True), ("::", True), (None, True), ("", True), ("10.0.0.5", True),
                                                   ("example.org", True), ("localhost.evil.example", True)])
def test_where_a_token_is_asked_for(address, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNESCOPE_TOKEN", raising=False)
    assert access_token.required(address) == expected
    monkeypatch.setenv("PRUNESCOPE_TOKEN", TOKEN)
    assert access_token.required(address)


def test_the_form_has_the_colors_of_the_browsers_own_theme() -> None:
    assert 'style="color-scheme: light dark"' in ask("/")[2]
