"""What can be checked of the Dockerfile where no Docker engine runs."""

import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]


def lines(word: str) -> list[str]:
    return [line.strip()[len(word):].strip() for line in LINES if line.strip().startswith(word + " ")]


def test_base_is_pinned_and_user_has_no_rights():
    (base,) = lines("FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    assert lines("USER") == ["prunescope"]
    assert LINES.index("USER prunescope") < next(i for i, line in enumerate(LINES) if "make setup" in line)


def test_steps_are_those_of_the_makefile():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = set(re.findall(r"RUN make ([\w-]+)", "\n".join(LINES))) | {re.search(r'CMD \["make", "([\w-]+)"', TEXT)[1]}
    assert {"setup", "run"} <= used
    assert used <= targets


def test_what_setup_needs_is_copied_before_it():
    copies = next(line for line in LINES if line.startswith("COPY"))
    assert "Makefile" in copies
    assert "requirements.txt" in copies
    assert lines("VOLUME") == ["/data"]
    assert "PRUNESCOPE_HOME=/data" in TEXT


@pytest.mark.parametrize(("body", "status"), [(b"ok", 0), (b"<!doctype html>", 1)])
def test_health_check_reads_the_body(body, status):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = next(line for line in LINES if "_stcore/health" in line)
    _, flag, code = (part.strip(" ,[]") for part in shlex.split(command.split("CMD", 1)[1]))
    assert flag == "-c"
    done = subprocess.run([sys.executable, "-c", code.replace("8501", str(server.server_port))], check=False)
    server.shutdown()
    assert done.returncode == status
