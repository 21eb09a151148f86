"""What a person does and sees: run, watch, share the link, come back after the server was restarted."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SMALL = "windows=16&length=64&evaluation_windows=4&evaluation_length=64"
PERPLEXITIES = re.compile(r"\d+\.\d\d → \d+\.\d\d")


def see_result(page: Page) -> str:
    """Both perplexities and the layer chart are on the page; returns the perplexities."""
    shown = page.locator(".st-key-answer .ps-value").first
    expect(shown).to_have_text(PERPLEXITIES)
    expect(page.locator(".st-key-answer .js-plotly-plot .scatterlayer .trace").first).to_be_visible()
    expect(page.locator(".st-key-answer")).to_contain_text("50.0 %")
    expect(page.locator(".ps-finding").first).to_contain_text("Thanos leaves")
    return shown.inner_text()


@pytest.fixture(scope="module")
def finished() -> dict[str, str]:
    """Filled by the first that needs it: the link of the run and what was seen there."""
    return {}


def run_thanos(visit, finished: dict[str, str]) -> None:
    page = visit(f"/?{SMALL}")
    expect(page.get_by_text("Will be pruned")).to_be_visible()
    expect(page.get_by_text("42 layers").first).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    finished["seen"] = see_result(page)
    expect(page.get_by_role("button", name="Cancel")).not_to_be_visible()
    expect(page).to_have_url(re.compile(r"\?run=[0-9a-f]{64}&"))
    finished["link"] = page.url.partition("/?")[2]


def test_run_thanos_and_see_both_perplexities_and_every_layer(visit, finished):
    run_thanos(visit, finished)
    assert finished["seen"].count("→") == 1


@pytest.mark.long
def test_the_link_opens_the_same_result_in_another_browser(visit, finished):
    if not finished:
        run_thanos(visit, finished)
    assert see_result(visit(f"/?{finished['link']}")) == finished["seen"]


@pytest.mark.long
def test_the_key_alone_sets_the_controls(visit, finished):
    if not finished:
        run_thanos(visit, finished)
    page = visit("/?" + finished["link"].partition("&")[0])
    see_result(page)
    expect(page).to_have_url(re.compile("evaluation_windows=4"))


@pytest.mark.long
@pytest.mark.faults
def test_the_link_outlives_the_web_server(visit, finished, server):
    if not finished:
        run_thanos(visit, finished)
    server.stop()
    server.start()
    page = visit(f"/?{finished['link']}")
    assert see_result(page) == finished["seen"]
    page.reload()
    assert see_result(page) == finished["seen"]


def test_controls_write_the_link_and_back_returns(visit, finished):
    page = visit(f"/?{finished['link']}")
    assert see_result(page) == finished["seen"], "the same in another browser"
    page.get_by_role("radio", name="n:m").or_(page.get_by_text("n:m", exact=True)).first.click()
    expect(page).to_have_url(re.compile("pattern=2%3A4"))
    expect(page.locator(".st-key-old-answer, .st-key-preview").first).to_be_visible()  # said to be earlier, until that comes
    page.go_back()
    expect(page).to_have_url(re.compile("run="))
    assert see_result(page) == finished["seen"]


@pytest.mark.long
def test_nonsense_in_a_link_is_told(visit):
    page = visit("/?pattern=9:4&alpha=lots&run=xyz&foo=%3Cscript%3E")
    note = page.get_by_role("alert").first
    expect(note).to_contain_text("pattern: '9:4' cannot be used. Allowed: n from 0 to m = 4")
    expect(note).to_contain_text("alpha: 'lots' cannot be used. Allowed: a number.")
    expect(note).to_contain_text("no run's key")
    expect(page.get_by_text("Traceback")).to_have_count(0)


def test_runs_lists_it_and_opens_it(visit, finished):
    page = visit("/runs")
    expect(page.locator(".ps-row").nth(1)).to_contain_text(finished["seen"])
    page.locator("[class*='st-key-open-']").get_by_role("button").first.click()
    assert see_result(page) == finished["seen"]
