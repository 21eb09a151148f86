"""The word of a browser: given once with a page, the same in all tabs, and what the limit of the queue counts by."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from app.server.browsers import Browsers
from app.shared import browser, submission
from app.shared.browser import COOKIE


def ask(cookie: str = "", *, kind: str = "text/html; charset=utf-8", status: int = 200, scheme: str = "http") -> str:
    """The Set-Cookie header of an answer, or ""."""
    sent: list[dict[str, Any]] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"cookie", cookie.encode())] if cookie else []
    asyncio.run(Browsers(behind)({"type": "http", "method": "GET", "path": "/", "scheme": scheme, "headers": headers}, None, send))
    return dict(sent[0]["headers"]).get(b"set-cookie", b"").decode()


def test_a_browser_is_given_a_word_once():
    given = ask()
    word = given.partition(";")[0].partition("=")[2]
    assert browser.is_word(word)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(given.split("; "))
    assert "Secure" in ask(scheme="https")
    assert ask(f"other=1; {COOKIE}={word}") == ""
    assert ask()[:80] != given[:80]
    assert all(ask(f"{COOKIE}={wrong}") for wrong in ("", "short", "G" * 32, '"'))


def test_only_pages_give_a_word():
    assert ask(kind="application/json") == ask(status=401) == ""


@pytest.mark.parametrize(("cookies", "address", "same"), [
    ({COOKIE: "0" * 32}, None, True), ({COOKIE: "made up"}, "10.1.2.3", True), ({}, "10.1.2.3", True), ({}, None, False),
])
def test_the_tabs_of_a_browser_are_one_person(monkeypatch, cookies, address, same):
    monkeypatch.setattr(browser, "st", SimpleNamespace(context=SimpleNamespace(cookies=cookies, ip_address=address)))
    monkeypatch.setattr(submission.access, "person", lambda: "")
    words = list[str]()
    for _ in range(2):  # two tabs
        tab = dict[str, str]()
        monkeypatch.setattr(submission, "state", SimpleNamespace(recall=tab.get, remember=tab.__setitem__))
        words += [submission.asker(), submission.asker()]
    assert words[0] == words[1]
    assert (words[0] == words[2]) is same
    assert "-" not in words[0]  # what stands before it is the person
