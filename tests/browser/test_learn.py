"""The Learn page in a real browser: press a weight, step through, move B along its curve."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
DRAWN = "source=drawn"  # needs no layer, only the worker


def press_cell(page, row, column, *, rows, columns):
    """Press a cell of the first matrix of the chart, whose plot area the drag layer covers."""
    area = page.locator(".st-key-learn-one .js-plotly-plot .draglayer .xy .nsewdrag").first
    expect(area).to_be_visible()
    box = area.bounding_box()
    page.mouse.click(box["x"] + box["width"] * (column + 0.5) / columns, box["y"] + box["height"] * (row + 0.5) / rows)


@pytest.mark.long
def test_a_pressed_weight_is_removed(visit):
    page = visit(f"/learn?stop=1&{DRAWN}")
    expect(page.locator(".ps-finding").first).to_contain_text("row 2, input 3")
    press_cell(page, 4, 7, rows=6, columns=12)
    expect(page.locator(".ps-finding").first).to_contain_text("row 4, input 7")
    expect(page).to_have_url(re.compile("row=4&column=7"))


@pytest.mark.long
def test_stepping_playing_and_going_back(visit):
    page = visit(f"/learn?stop=3&{DRAWN}&step=0&focus=obc")
    expect(page.locator(".ps-finding").first).to_contain_text("After 0 of 36 removals")
    page.get_by_role("button", name="Step", exact=True).click()
    expect(page.locator(".ps-finding").first).to_contain_text("OBC")
    expect(page.get_by_text("step 1 of 36 of")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_text(re.compile(r"step [3-9] of 36 of"))).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page).to_have_url(re.compile(r"step=\d+"))
    settle(page)
    stopped = int(re.search(r"step=(\d+)", page.url)[1])
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.get_by_text(f"step {stopped - 1} of 36 of")).to_be_visible()


@pytest.mark.long
def test_back_at_once_after_step_takes_that_very_step_back(visit):
    page = visit(f"/learn?stop=3&{DRAWN}&step=5&focus=obc")
    expect(page.get_by_text("step 5 of 36 of").first).to_be_visible()
    for key in ("step_on", "back"):
        expect(page.locator(f".st-key-learn_{key} button")).to_have_count(1)  # while a page is drawn anew it may have the old one too
    settle(page)
    page.evaluate("""() => { for (const key of ["step_on", "back"]) document.querySelector(`.st-key-learn_${key} button`).click(); }""")
    settle(page)
    page.get_by_role("button", name="Step", exact=True).click()
    expect(page.get_by_text("step 6 of 36 of")).to_be_visible()
    expect(page).to_have_url(re.compile("step=6"))


@pytest.mark.long
def test_b_moves_along_its_curve_to_the_optimum(visit):
    page = visit(f"/learn?stop=3&{DRAWN}&view=blocks")
    expect(page.locator(".ps-finding").first).to_contain_text("at B = 4")
    settle(page)
    thumb = page.locator(".st-key-learn_block input").last  # while a page is drawn anew it may have the old one too
    thumb.focus()
    thumb.press("End")
    expect(page.locator(".ps-finding").first).to_contain_text("at B = 12")
    expect(page).to_have_url(re.compile("block=12"))


RESTORED = f"stop=3&{DRAWN}&seed=7&rows=4&columns=8&block=3&focus=obc&step=5&row=1&column=6"


def test_a_link_restores_what_was_seen_and_nonsense_in_it_is_told(visit):
    page = visit(f"/learn?{RESTORED}&sparsity=lots")
    expect(page.get_by_text("4 × 8, drawn with seed 7").first).to_be_visible()  # twice for a moment, while notes move what is below
    expect(page.get_by_text("step 5 of 16 of").first).to_be_visible()
    expect(page.locator(".st-key-learn_block input").first).to_have_value("3")
    expect(page.get_by_text("sparsity: 'lots' cannot be used.").first).to_be_visible()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("sparsity: 'lots'")).to_have_count(0)
    expect(page).to_have_url(re.compile("seed=7"))


@pytest.mark.long
def test_another_stop_is_a_step_of_its_own_that_back_takes_back(visit):
    page = visit(f"/learn?{RESTORED}")
    expect(page.get_by_text("step 5 of 16 of").first).to_be_visible()
    settle(page)
    page.locator(".st-key-learn_stop").get_by_text("1 One weight").click()
    expect(page.locator(".ps-finding").first).to_contain_text("row 1, input 6")
    expect(page).to_have_url(re.compile("stop=1"))  # the address follows at the end of the page's script
    page.reload()
    expect(page.locator(".ps-finding").first).to_contain_text("row 1, input 6")
    settle(page)  # a step back that comes while the page's script still runs can be lost
    page.go_back()
    expect(page.get_by_text("step 5 of 16 of").first).to_be_visible()
