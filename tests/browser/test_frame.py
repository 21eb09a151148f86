"""The frame of all pages, as only a browser shows it: addresses that are asked for, titles, the navigation, a phone's width."""

import re

import pytest
from playwright.sync_api import expect

from app.shared.page_links import TITLES
from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_a_deep_link_asks_for_nothing_that_is_not_there_and_names_its_tab(visit):
    page = visit("/masks?pattern=2:4")
    settle(page)
    missing = []
    page.on("response", lambda answer: missing.append((answer.status, answer.url)) if answer.status >= 400 else None)
    page.goto(page.url.replace("/masks", "/layers"))
    expect(page.locator(".ps-question")).to_be_visible()
    settle(page)
    expect(page).to_have_title("Layers · PruneScope")
    assert not missing
    page.get_by_test_id("stTopNavLink").filter(has_text="Runs").click()
    expect(page).to_have_title("Runs · PruneScope")


def test_back_returns_to_what_was_there_in_one_step(visit):
    """The navigation leads to a page without words, which then writes the settings into its address: no step of its own."""
    page = visit("/layers?method=wanda&pattern=2:4")
    expect(page.locator(".ps-question")).to_be_visible()
    settle(page)
    for name in ("Masks", "Layers"):
        page.get_by_test_id("stTopNavLink").filter(has_text=name).click()
        expect(page).to_have_url(re.compile(f"/{name.lower()}[?]method=wanda&pattern=2(:|%3A)4"))
        settle(page)
    page.go_back()
    expect(page).to_have_url(re.compile("/masks[?]method=wanda&pattern=2(:|%3A)4"))
    expect(page.locator(".ps-about").first).to_contain_text("Wanda · 2:4")


@pytest.mark.faults
@pytest.mark.long
def test_a_page_whose_programs_did_not_arrive_is_loaded_again(visit):
    """The server is started anew between the page's text and its programs: nothing runs in the browser that could try again."""
    page, refused = visit("/runs"), []

    def refuse_once(route):
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort("connectionrefused")

    page.route("**/static/js/index.*.js", refuse_once)
    page.goto(page.url, wait_until="commit")
    expect(page.locator(".ps-question")).to_be_visible()
    assert refused


@pytest.mark.long
def test_the_navigation_stays_where_it_is_and_shows_its_focus(visit):
    places = []
    for path in ("/", "/runs", "/learn"):
        page = visit(path)
        expect(page.locator(".ps-question")).to_be_visible()
        settle(page)
        places.append(page.get_by_test_id("stTopNavLink").first.bounding_box())
    assert places[0] == places[1] == places[2]
    link = page.get_by_test_id("stTopNavLink").filter(has_text="Layers")
    for _ in range(6):
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"


@pytest.mark.parametrize("name", [name if name in ("explore", "runs") else pytest.param(name, marks=pytest.mark.long) for name in TITLES])
def test_no_page_is_wider_than_a_phone(visit, name):
    page = visit(f"/{name}", width=390, height=844)
    expect(page.locator(".ps-question")).to_be_visible()
    settle(page)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 1
    wide = page.evaluate("""() => [...document.querySelectorAll('[data-testid=stMain] .js-plotly-plot, [data-testid=stMain] .ps-row')]
        .filter(part => part.getBoundingClientRect().right > innerWidth + 1).map(part => part.className)""")
    assert not wide
