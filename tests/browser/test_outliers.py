"""Click a cell of the map, move the cut, watch the points of the sweep come."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

LINK = "/outliers?windows=16&length=64&evaluation_windows=1&evaluation_length=32&method=magnitude&pattern=columns:0.3&alpha=0.1"


@pytest.mark.long
def test_a_cell_opens_its_layer_the_cut_moves_alpha_and_the_points_come(visit):
    page = visit(LINK)
    cells = page.locator(".st-key-energy-map .scatterlayer .points path")
    expect(cells).to_have_count(42)
    expect(page.locator(".ps-finding").first).to_contain_text("strongest rows of")
    page.wait_for_timeout(500)
    cells.nth(2).hover(force=True)  # block 0, v_proj
    page.wait_for_timeout(500)
    cells.nth(2).click(force=True)
    expect(page).to_have_url(re.compile(r"layer=model\.layers\.0\.self_attn\.v_proj"))
    expect(page.locator(".ps-finding").first).to_contain_text("In block 0, v_proj, the 26 strongest rows of 256 stay dense")
    cut = page.locator(".st-key-outlier-cut").get_by_role("slider")
    cut.focus()
    for count in range(27, 32):
        settle(page)
        while f"the {count} strongest rows" not in page.locator(".ps-finding").first.inner_text():
            if cut.input_value() == str(count - 1):  # the page may take a press back that comes while it draws new points
                cut.press("ArrowRight")
            page.wait_for_timeout(700)
    expect(page.locator(".ps-finding").first).to_contain_text("the 31 strongest rows of 256 stay dense")
    expect(page).to_have_url(re.compile(r"alpha=0\.12"))
    expect(page.get_by_text(re.compile("With as many random rows it")).nth(1)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Repeat with 3 calibration seeds"))).to_be_visible()
    expect(page.locator(".st-key-alpha-model .scatterlayer .trace")).to_have_count(3)  # band, random rows, strongest rows
    page.get_by_role("button", name=re.compile("Repeat with 3 calibration seeds")).click()
    expect(page.get_by_text(re.compile("of 3 calibration seeds")).first).to_be_visible()
    expect(page.get_by_text("Traceback")).to_have_count(0)
