"""Two people with a page each: they ask for the same run once, and each sees what the other does."""

from __future__ import annotations

import pytest

from tests.pages.conftest import SMALL, said
from tests.pages.test_runs import choose

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("without_workers")]


def test_what_one_does_the_other_sees(visit, keep, store):
    key = keep(spec=SMALL, state="queued")
    one, other = visit("runs"), visit("runs")
    choose(one, key, "Pause")
    other.run()
    assert "1 paused" in said(other)
    choose(other, key, "Resume")
    choose(one, key, "Cancel")
    assert store.record(key).state == "cancelled"
    other.run()
    assert "canceled" in said(other)
    choose(other, key, "Delete")
    other.button(key="delete-yes").click().run()
    assert store.record(key) is None
    one.run()
    assert not one.exception
    assert "No runs yet" in said(one)
