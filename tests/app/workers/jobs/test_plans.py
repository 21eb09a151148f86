"""Plans on real workers: made in the background, then known."""

from __future__ import annotations

import pytest

from app.workers import startup
from app.workers.jobs import Jobs
from app.workers.plans import Planning
from cache import Store
from core.run.planning import plan
from core.spec import RunSpec
from tests.app.workers.jobs.support import (
    BLOCKS,
    IMPOSSIBLE,
    quick,
)
from tests.app.workers.processes import wait_for


def test_a_plan_is_made_in_the_background_and_then_known(jobs, home):
    spec = quick(1)
    assert jobs.plan(spec) == Planning(state="computing")
    found = wait_for(lambda: (planning := jobs.plan(spec)).state != "computing" and planning)
    assert found.state == "ready", found.error
    assert found.plan.blocks == BLOCKS
    assert Jobs(Store(home)).plan(spec) == found  # another web server, not even connected


def test_a_plan_that_cannot_be_made_says_why(jobs):
    found = wait_for(lambda: (planning := jobs.plan(quick(1, pattern=IMPOSSIBLE))).state != "computing" and planning)
    assert found.state == "failed"
    assert found.error.startswith("m: 1024 cannot be used")
    assert jobs.plan(RunSpec(model="no-such-folder")).state == "failed"


def test_what_an_idle_device_can_do_counts_for_the_plans_of_that_device(tmp_path):
    store = Store(tmp_path)
    startup.see_rate(store)
    made = plan(RunSpec())
    assert made.matrix_rate is not None
    assert store.rate(made.device) > 0
    slow = made.model_copy(update={"matrix_rate": store.rate(made.device) / 4})
    store.put_plan("0" * 64, slow)
    assert store.plan("0" * 64).seconds == pytest.approx(slow.seconds / 4)
