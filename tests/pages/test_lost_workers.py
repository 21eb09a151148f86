"""When the workers cannot be reached: each page gives the reason once, in its place, and keeps what it has."""

import time

import pytest

from app.shared import resources
from cache.store import Store
from core.spec import make_method
from core.spec.errors import BadInput
from tests.pages.conftest import SMALL, charts, said

pytestmark = pytest.mark.faults
WORDS = {"windows": "16", "length": "64", "evaluation_windows": "4", "evaluation_length": "64"}
REASON = "The worker processes, which compute, cannot be reached"


@pytest.fixture(autouse=True)
def soon_lost(monkeypatch, tmp_path):
    monkeypatch.setattr("app.workers.connection._CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(resources, "GALLERY", tmp_path)


@pytest.fixture
def lost(visit):
    """lost("masks", words): the page after the workers were looked for in vain."""

    def open_page(page="explore", words=WORDS):
        session = visit(page, words=words)
        deadline = time.monotonic() + 240
        while REASON not in said(session):
            assert time.monotonic() < deadline, said(session)
            time.sleep(0.1)
            session.run()
        session.run()
        assert not session.exception
        return session

    return open_page


@pytest.mark.parametrize("page", ["explore", "layers", "masks", "outliers"])
def test_the_reason_is_given_once_with_what_to_do(lost, page):
    text = said(lost(page))
    assert text.count(REASON) == 1
    assert "There is no answer yet." in text
    assert "Start that scheduler" in text
    assert "This cannot be run as it is" not in text  # it can: Run puts it into the queue


def test_explore_says_what_was_asked_and_keeps_the_last_answer(lost, keep, small_result):
    keep(small_result)
    session = lost(words={**WORDS, "method": "magnitude"})
    text = said(session)
    assert text.count(REASON) == 1
    assert text.index("demo · Magnitude") < text.index(REASON) < text.index("an earlier answer")
    assert "Run puts this into the queue" in text
    assert not session.button(key="run_button").disabled
    assert len(charts(session)) == 1


def test_layers_keeps_the_map_of_the_run_and_draws_no_empty_chart(lost, keep, small_result):
    keep(small_result)
    session = lost("layers")
    text = said(session)
    assert text.count(REASON) == 1
    assert "The largest error is in" in text
    assert "Nothing can be shown here, for the reason above." in text
    assert "stands here when there is an answer" in text
    assert len(charts(session)) == 1


@pytest.mark.parametrize("page", ["runs", "curves"])
def test_what_waits_says_why(lost, keep, page):
    for name in ("wanda", "thanos"):
        keep(spec=SMALL.model_copy(update={"method": make_method(name).resolved(SMALL.pattern)}), state="queued")
    words = {**WORDS, "methods": "wanda,thanos", "patterns": "0.5"} if page == "curves" else {}
    text = said(lost(page, words))
    assert text.count(REASON) == 1
    assert "What waits keeps its place" in text


def test_a_home_that_may_not_be_written_is_said_in_words(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("cache.rows.open_rows", refuse)
    with pytest.raises(BadInput, match=f"{tmp_path} may not be written by the user who runs PruneScope. Mend that"):
        Store(tmp_path)
