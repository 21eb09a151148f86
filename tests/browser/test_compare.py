"""Runs side by side in a real browser: by link, from the table; and the report, opened without server and network."""

import json

import pytest
from playwright.sync_api import expect

from app.report import report
from app.workers.jobs import Jobs
from cache.records import RunRecord
from cache.store import Store
from core.records import RunResult
from core.spec import Calibration, Evaluation, RunSpec, make_method
from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

TWO = "runs=gallery:sparsegpt-0.5,gallery:thanos-0.5"


@pytest.fixture(scope="module")
def kept(server):
    """Two real small runs in the server's store, with their pruned weights, as the worker keeps them."""
    from core import prune

    store = Store(server.home)
    jobs, keys = Jobs(store), []
    for method in ("magnitude", "wanda"):
        spec = RunSpec(method=make_method(method), calibration=Calibration(windows=16, length=64),
                       evaluation=Evaluation(windows=2, length=32))
        keys.append(jobs.key(spec))
        *_, last = prune(spec, journal=store.journal(keys[-1]))
        store.put_result(keys[-1], last.result)
        store.put_record(RunRecord(key=keys[-1], spec=spec, state="queued", submitted=1.0).finished(last.result))
    yield keys
    store.close()


@pytest.fixture
def read_offline(browser, tmp_path):
    """read_offline(html): the file opened in a browser that has no network. Fails on any request for something else, and any error."""
    contexts, wrong = [], []

    def open_file(html, theme="light"):
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert not wrong


def tab_to(page, name):
    """Press Tab until the control of this name has the focus."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText") == name:
            return
    raise AssertionError(f"no Tab leads to {name}")


def choose_by_keys(page, words):
    """Type into the list that has the focus and take the one option that is left, once it stands there alone.

    What the marks of the table do to the page may come late on a busy machine, and would take away what is being typed.
    """
    settle(page)
    page.wait_for_timeout(1000)
    settle(page)
    page.keyboard.type(words)
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")


@pytest.mark.long
def test_a_link_opens_the_comparison_and_its_report_opens_without_a_network(visit, read_offline):
    page = visit(f"/compare?{TWO}")
    expect(page.locator(".ps-finding").first).to_contain_text("Thanos has the lower perplexity")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    shown = page.locator(".ps-table").inner_text()
    page.get_by_role("tab", name="Repeat it, take it away").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report as HTML").click()
    alone = read_offline(download.value.path().read_text(encoding="utf-8"))
    expect(alone.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    assert alone.locator(".ps-table").inner_text().split() == shown.split()
    errors = [float(cell.get_attribute("data-value")) for cell in alone.locator(".layers tbody td:nth-child(2)").all()]
    alone.locator(".layers th").nth(1).click()
    assert [float(cell.get_attribute("data-value")) for cell in alone.locator(".layers tbody td:nth-child(2)").all()] == sorted(errors)


@pytest.mark.long
def test_the_table_of_all_runs_adds_one_by_mouse_and_one_by_keys(visit):
    page = visit(f"/compare?{TWO}")
    page.get_by_role("button", name="Choose runs").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 of")
    search = dialog.get_by_role("textbox", name="Show only")
    search.fill("magnitude 50")
    search.press("Enter")
    table = dialog.locator("[data-testid=stDataFrame]")
    expect(table.locator("canvas").first).to_be_visible()
    expect(table.locator("canvas tr")).to_have_count(2)  # the head and the one that fits
    settle(page)
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 1.5 * 35)
    expect(dialog).to_contain_text("3 of")
    search.fill("")
    search.press("Enter")
    expect(table.locator("canvas tr[aria-selected=true]").filter(has_text="Magnitude")).to_have_count(1)
    settle(page)
    tab_to(page, "Runs to compare")
    choose_by_keys(page, "wanda 2:4")
    expect(dialog).to_contain_text("4 of")
    page.keyboard.press("Backspace")
    expect(dialog).to_contain_text("3 of")
    choose_by_keys(page, "wanda 50")
    expect(dialog).to_contain_text("4 of")
    settle(page)
    tab_to(page, "Compare")
    page.keyboard.press("Enter")
    expect(page.locator(".ps-about").first).to_contain_text("4 runs of demo")
    expect(page.locator(".ps-table thead")).to_contain_text("Magnitude")
    expect(page.locator(".ps-table thead")).to_contain_text("Wanda")
    page.go_back()
    expect(page.locator(".ps-about").first).to_contain_text("2 runs of demo")


@pytest.mark.long
def test_masks_are_compared_on_the_worker(visit, kept):
    page = visit(f"/compare?runs={kept[0]},{kept[1]}")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    page.get_by_role("tab", name="Masks").click()
    expect(page.get_by_text("Of the weights that Magnitude removes, Wanda removes")).to_be_visible()
    expect(page.locator(".st-key-overlaps .js-plotly-plot")).to_be_visible()


def test_a_model_name_cannot_run_in_a_report(read_offline, root):
    found = RunResult.model_validate_json((root / "app" / "gallery" / "0-thanos-0.5.json").read_bytes())
    evil = "</script><script>alert(1)</script><img src=http://example.com/x onerror=alert(2)>"
    layers = tuple(layer.model_copy(update={"name": f"{evil}.{layer.name}"}) for layer in found.layers)
    spec = found.spec.model_copy(update={"model": evil})
    page = read_offline(report([found.model_copy(update={"spec": spec, "layers": layers, "calibration": evil})]), theme="dark")
    expect(page.locator("h1")).to_contain_text(evil)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    page.locator(".js-plotly-plot .nsewdrag").first.hover()
    page.wait_for_timeout(300)
    inside = json.loads(page.locator("#runs").text_content())
    assert inside["runs"][0]["spec"]["model"] == evil
