"""A link or a stored record that names a file of the server is told as refused, on every page that computes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cache import RunRecord
from core.spec import Calibration, RunSpec
from tests.cache.examples import key_of
from tests.pages.conftest import said

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("without_workers")]


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "secret.txt").write_text("secret " * 9999)
    return f"text:{tmp_path / 'secret.txt'}"


def test_a_link_to_a_file_of_the_server_is_refused(visit, source: str) -> None:
    page = visit(words={"calibration": source})
    assert "PRUNESCOPE_TEXTS" in said(page)
    assert page.button(key="run_button").disabled


def test_so_is_a_planted_record(visit, store, source: str) -> None:
    spec = RunSpec(calibration=Calibration(source=source))
    store.put_record(RunRecord(key=key_of("planted"), spec=spec, state="queued", submitted=time.time()))
    page = visit(words={"run": key_of("planted")})
    assert "PRUNESCOPE_TEXTS" in said(page)
