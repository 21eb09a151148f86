"""A small sweep is started on the Curves page, its points appear, a mark opens its run, and the link restores the choice."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SMALL = "windows=16&length=64&evaluation_windows=4&evaluation_length=64&methods=wanda&patterns=0.4,0.6"


@pytest.mark.long
def test_a_sweep_is_computed_point_by_point(visit):
    page = visit(f"/curves?{SMALL}")
    expect(page.get_by_text("No points yet for demo")).to_be_visible()
    page.get_by_role("button", name="Compute the missing 2 points").click()
    expect(page.get_by_role("button", name="Cancel all")).to_be_visible()
    marks = page.locator(".js-plotly-plot .scatterlayer .points path")
    expect(marks.nth(0)).to_be_visible(timeout=240_000)
    expect(marks).to_have_count(2, timeout=240_000)
    expect(page.get_by_role("button", name="Every point is there")).to_be_disabled()
    expect(page.get_by_role("button", name="Cancel all")).to_have_count(0)
    expect(page.locator(".ps-finding")).to_contain_text("of the dense perplexity")
    assert page.url.endswith(SMALL)

    again = visit(page.url.removeprefix(page.url.partition("/curves")[0]))
    expect(again.locator(".js-plotly-plot .scatterlayer .points path")).to_have_count(2)
    expect(again.get_by_text("Wanda").first).to_be_visible()
    expect(again.locator("[data-testid=stSidebar]").get_by_text("60 %")).to_be_visible()

    again.locator(".js-plotly-plot .scatterlayer .points path").last.click(force=True)
    expect(again).to_have_url(re.compile(r"run=[0-9a-f]{64}"))
    expect(again.locator(".ps-question")).to_contain_text("What does this pruning do")
    expect(again.locator(".st-key-answer .ps-about")).to_contain_text("demo · Wanda · 60 % of the weights")
