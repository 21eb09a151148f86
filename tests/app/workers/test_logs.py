"""Log lines as JSON, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import logging
from app.workers import logs
import distributed
logs.configure()
log = logging.getLogger("distributed.prunescope")
with logs.about("abc"):
    log.info("begun\\nwith a line break")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("failed")
log.warning("about another", extra={"run": "def"})
log.warning("about none")
"""


def lines(**switch: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **switch})
    return done.stderr.strip().splitlines()


def test_each_line_is_one_object_with_the_key_of_its_run():
    found = [json.loads(line) for line in lines(PRUNESCOPE_LOG="json")]
    assert [line["message"] for line in found] == ["begun\nwith a line break", "failed", "about another", "about none"]
    assert [line.get("run") for line in found] == ["abc", "abc", "def", None]
    assert "ZeroDivisionError" in found[1]["error"]
    assert {"time", "level", "logger", "process"} <= set(found[0])
    assert "abc" not in "".join(lines())
