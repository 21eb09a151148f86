"""A real server on a free port with a home of its own, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect, sync_playwright

from app.workers.cluster import stop_cluster

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")
expect.set_options(timeout=300_000)  # a busy machine is not a failure


class Server:
    """The server as `make run` starts it; can be stopped and started again on the same port and home."""

    def __init__(self, root: Path, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.root, self.home, self._process = root, home, None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "app.server", "--port", str(self.port), "--address", "127.0.0.1"]
        with open(self.home / "server.log", "a") as log:
            self._process = subprocess.Popen(command, cwd=self.root, stdout=log, stderr=subprocess.STDOUT,
                                             env={**os.environ, "PRUNESCOPE_HOME": str(self.home)})
        deadline = time.monotonic() + 60
        while not self._healthy():
            assert self._process.poll() is None, (self.home / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def _healthy(self) -> bool:
        try:
            return urlopen(f"{self.url}/_stcore/health", timeout=2).read() == b"ok"
        except OSError:
            return False


@pytest.fixture(scope="session")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with its workers for all files of a process: what they keep in its store does not meet."""
    started = Server(root, tmp_path_factory.mktemp("browser"))
    started.start()
    yield started
    started.stop()
    stop_cluster(started.home)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one file of tests: Playwright's event loop runs as long as it does, and other tests have loops of their own."""
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Callable[..., Page]]:
    """visit(path, width=1440, height=900): a page in a browser context of its own, as another person would see it. Fails on requests to
    other hosts and on what the page's own Content-Security-Policy forbids."""
    contexts, strangers, forbidden = [], [], []

    def watch(url: str) -> None:
        if not url.startswith((server.url, "data:", "blob:")):
            strangers.append(url)

    def open_page(path: str = "/", *, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: forbidden.append(message.text) if "Content Security Policy" in message.text else None)
        page.on("request", lambda request: watch(request.url))
        page.goto(server.url + path)
        try:
            page.wait_for_function("document.body.innerText.trim() !== ''", timeout=60_000)
        except TimeoutError:  # seen once in some hundred loads: Streamlit's client never connects, and a person loads the page again
            page.reload()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not strangers
    assert not forbidden


def settle(page: Page) -> None:
    """Until the page's script has ended: what is pressed while a page still moves may miss."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    page.wait_for_timeout(300)
