"""A real server: asked for its token beyond loopback, by default, and with headers on every answer."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.server.index_page import ROOT_SCRIPT
from cache import Store
from cache.exports import Export
from core.spec import RunSpec


def get(port: int, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def served(root: Path, home: Path, address: str) -> Iterator[tuple[int, Path]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PRUNESCOPE_HOME": str(home), "PRUNESCOPE_SCHEDULER": "tcp://127.0.0.1:1"}
    environment.pop("PRUNESCOPE_TOKEN", None)
    with open(home / "log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", "app.server", "--port", str(port), "--address", address], cwd=root, stdout=log,
                                   stderr=log, env=environment)
    deadline = time.monotonic() + 120
    while True:
        try:
            if get(port, "/_stcore/health")[0] == 200:
                break
        except OSError:
            pass
        assert process.poll() is None, (home / "log").read_text()
        assert time.monotonic() < deadline, (home / "log").read_text()
        time.sleep(0.1)
    yield port, home
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def open_to_all(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    yield from served(root, tmp_path_factory.mktemp("open"), "0.0.0.0")


@pytest.fixture(scope="module")
def on_loopback(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    yield from served(root, tmp_path_factory.mktemp("loopback"), "localhost")


def test_beyond_loopback_a_token_is_asked_for_and_the_printed_link_opens(open_to_all: tuple[int, Path]) -> None:
    port, home = open_to_all
    status, _, body = get(port, "/")
    assert status == 401
    assert b"asks for its token" in body
    for path in ("/curves", "/static/js/x.js", "/_stcore/host-config", "/media/x", "/oauth2callback"):
        assert get(port, path)[0] == 401
    printed = re.search(rf"http://127.0.0.1:{port}(/\?token=\w+)", (home / "log").read_text())
    assert printed
    assert printed[1].endswith((home / "token").read_text())
    status, headers, _ = get(port, printed[1])
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"].partition(";")[0]
    assert get(port, "/", Cookie=cookie)[0] == 200
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"])  # type: ignore[list-item]
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"],  # type: ignore[list-item]
                 additional_headers={"Cookie": cookie}):
        pass


def test_on_loopback_nothing_is_asked_for(on_loopback: tuple[int, Path]) -> None:
    port, home = on_loopback
    assert get(port, "/")[0] == 200
    assert not (home / "token").exists()
    assert "token" not in (home / "log").read_text()


@pytest.mark.faults
def test_a_name_of_somebody_elses_that_leads_here_opens_nothing(on_loopback: tuple[int, Path]) -> None:
    """DNS rebinding: page and server are one site to the browser. Behind the token any name is answered."""
    port, _ = on_loopback
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"):
        status, _, body = get(port, "/health.json", Host=name)
        assert (status, b"finished" in body) == (403, False)
        assert get(port, "/_stcore/health", Host=name)[0] == 200
    for name in ("localhost", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"app.localhost:{port}"):
        assert b"finished" in get(port, "/health.json", Host=name)[2]
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/_stcore/stream", additional_headers={"Host": "evil.example"},
                                               origin="http://evil.example"):
        pass


def test_headers_are_on_every_answer(on_loopback: tuple[int, Path], open_to_all: tuple[int, Path]) -> None:
    for port, path in ((on_loopback[0], "/"), (on_loopback[0], "/_stcore/health"), (open_to_all[0], "/"), (on_loopback[0], "/media/none")):
        headers = get(port, path)[1]
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'self'" in policy
        assert "script-src 'self' 'unsafe-inline'" not in policy
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
        assert headers["referrer-policy"] == "no-referrer"


def test_the_folders_are_there_after_the_first_start(on_loopback: tuple[int, Path]) -> None:
    for folder, variable in (("models", "PRUNESCOPE_MODELS"), ("texts", "PRUNESCOPE_TEXTS")):
        words = (on_loopback[1] / folder / "README").read_text()
        assert len(words.splitlines()) == 2
        assert variable in words


def test_the_explore_page_also_has_its_name(on_loopback: tuple[int, Path]) -> None:
    port, _ = on_loopback
    status, headers, _ = get(port, "/explore?method=wanda&pattern=2:4")
    assert (status, headers["location"]) == (307, "/?method=wanda&pattern=2:4")
    assert get(port, "/explore")[1]["location"] == "/"
    assert get(port, "/layers")[0] == 200


def test_a_link_to_a_lesson_becomes_whole(on_loopback: tuple[int, Path]) -> None:
    """By an answer of the server: a second entry in the browser's history would be where Back leads to."""
    port, _ = on_loopback
    window = "layer=model.layers.1.self_attn.o_proj&first_row=218&first_column=62"
    status, headers, _ = get(port, "/learn?stop=2&row=1")
    assert (status, headers["location"]) == (307, f"?stop=2&row=1&{window}")
    for whole in ("/learn", f"/learn?stop=2&{window}", "/learn?stop=2&source=drawn", "/learn?stop=nine"):
        assert get(port, whole)[0] == 200


@pytest.mark.parametrize(("path", "title"), [
    ("/", "Explore"), ("/?pattern=2:4", "Explore"), ("/layers?pattern=2:4", "Layers"), ("/outliers", "Outlier rows")])
def test_a_page_has_its_title_and_knows_the_root_from_its_first_byte(on_loopback: tuple[int, Path], path: str, title: str) -> None:
    status, headers, body = get(on_loopback[0], path, **{"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    text = body.decode()
    assert (status, int(headers["content-length"])) == (200, len(body))
    assert f"<title>{title} · PruneScope</title>" in text
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert "BACKEND_BASE_URL" in scripts[0]  # before Streamlit's own programs
    digests = {f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}" for script in scripts}
    assert all(digest in headers["content-security-policy"] for digest in digests), "the browser would refuse to run it"


@pytest.mark.parametrize(("address", "root"), [
    ("/layers", "/"), ("/", "/"), ("/tools/prune/masks/", "/tools/prune/"), ("/tools/prune/", "/tools/prune/"), ("/layerset", "/layerset")])
def test_the_root_is_what_stands_before_the_name_of_a_page(address: str, root: str) -> None:
    pattern = re.search(r"replace\(/(.*)/, '/'\)", ROOT_SCRIPT)
    assert pattern
    assert re.sub(pattern[1].replace("\\/", "/"), "/", address) == root


def put_zip(home: Path, content: bytes) -> str:
    """A finished export in a server's home; returns its address."""
    store = Store(home)
    key = "c" * 64
    request = Export(key=key, spec=RunSpec(), name="demo-thanos-0.5", state="finished", submitted=time.time())
    store.exports.requests.change(key, lambda before: request)
    store.exports.folder.mkdir(exist_ok=True)
    store.exports.path(key).write_bytes(content)
    store.close()
    return f"/exports/{key}/{request.ticket}/demo-thanos-0.5.zip"


def test_a_pruned_model_is_fetched_in_ranges_by_whoever_has_the_ticket(on_loopback: tuple[int, Path]) -> None:
    port, home = on_loopback
    content = os.urandom(300_000)
    place = put_zip(home, content)
    status, headers, body = get(port, place)
    assert (status, body) == (200, content)
    assert headers["content-disposition"] == 'attachment; filename="demo-thanos-0.5.zip"'
    assert headers["accept-ranges"] == "bytes"
    assert headers["x-frame-options"] == "DENY"
    status, part, body = get(port, place, Range="bytes=100000-", **{"If-Range": headers["etag"]})
    assert (status, body) == (206, content[100_000:])
    assert part["content-range"] == "bytes 100000-299999/300000"
    key, ticket = place.split("/")[2:4]
    for wrong in (f"/exports/{key}/{ticket[:-1]}x/a.zip", f"/exports/{'d' * 64}/{ticket}/a.zip", f"/exports/token/{ticket}/a"):
        assert get(port, wrong)[0] == 404


def test_a_pruned_model_is_behind_the_gate(open_to_all: tuple[int, Path]) -> None:
    port, home = open_to_all
    place = put_zip(home, b"zip")
    assert get(port, place)[0] == 401
    token = (home / "token").read_text()
    assert get(port, place, Authorization=f"Bearer {token}")[::2] == (200, b"zip")
