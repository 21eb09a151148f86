"""A damaged store: every page says so and what to do, and shows what can be read."""

import sqlite3

import pytest

from app.shared import resources
from core.spec import make_method
from tests.pages.conftest import SMALL, said

pytestmark = pytest.mark.faults
PAGES = ["explore", "layers", "masks", "outliers", "curves", "compare", "learn", "runs"]


@pytest.mark.parametrize("page", PAGES)
def test_each_page_tells_and_shows_what_is_left(visit, keep, small_result, store, page):
    good, bad = keep(small_result), keep(small_result, spec=SMALL.model_copy(update={"method": make_method("wanda")}))
    connection = sqlite3.connect(store.home / "store" / "records" / "cache.db")
    connection.execute("UPDATE Cache SET value = replace(value, '\"submitted\"', '\"Submitted\"') WHERE key = ?", (bad,))
    connection.commit()
    connection.close()
    resources.close()
    session = visit(page)
    assert "1 stored entry does not hold what was written" in said(session)
    assert "check the disk" in said(session)
    assert resources.store().record(good) is not None
