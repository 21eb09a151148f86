"""What only a browser can show of charts that are pressed: a cell or a mark opens its layer, the mask moves the loupe; links restore."""

import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SMALL = "windows=16&length=64&evaluation_windows=4&evaluation_length=64&method=wanda"
DOWN = "model.layers.3.mlp.down_proj"
HEADING = re.compile("Which layers lose most")


def press(page: Page, chart: Locator, x: float, y: float, axis: str = "") -> None:
    """Move the mouse to where a value lies in a chart, rest there as a person does, and press. `axis`: the number of the chart's part.

    Plotly looks for the point below the mouse at most once in 50 ms, also when it is pressed: a press that follows a move at once is
    taken to be where the mouse was before. The rest is counted in the page, so that on a busy machine too Plotly has had its turn.
    """
    expect(chart).to_be_visible()
    page.evaluate("document.fonts.ready")  # until then lines of text may still grow, and what is below them moves
    settle(page)
    place = chart.evaluate("""(plot, [x, y, axis]) => { const box = plot.getBoundingClientRect(), all = plot._fullLayout,
        across = all["xaxis" + axis], down = all["yaxis" + axis];
        return [box.x + across._offset + across.d2p(x), box.y + down._offset + down.d2p(y)]; }""", [x, y, axis])
    page.mouse.move(place[0] - 9, place[1] - 9)
    page.mouse.move(*place, steps=3)
    page.evaluate("new Promise(rested => setTimeout(rested, 150))")
    page.mouse.click(*place)


@pytest.mark.long
def test_a_press_on_a_cell_opens_its_layer(visit):
    page = visit(f"/layers?{SMALL}&layer={DOWN}")
    expect(page.get_by_text("In 3.mlp.down_proj Wanda leaves")).to_be_visible()
    press(page, page.locator(".st-key-map .js-plotly-plot"), 1, 3)  # block 1, the fourth module
    expect(page.get_by_text("In 1.self_attn.o_proj Wanda leaves")).to_be_visible()
    expect(page).to_have_url(re.compile("layer=model.layers.1.self_attn.o_proj"))
    expect(page.get_by_role("combobox", name="Layer")).to_have_value("model.layers.1.self_attn.o_proj")


@pytest.mark.long
def test_a_press_on_the_mask_moves_the_loupe_and_the_link_restores_it(visit):
    page = visit(f"/masks?{SMALL}&layer={DOWN}&pattern=2:4&row=64&column=128")
    row, column = page.get_by_role("spinbutton", name="From row"), page.get_by_role("spinbutton", name="From column")
    expect(row).to_have_value("64")
    expect(column).to_have_value("128")
    press(page, page.locator(".st-key-masks-overview .js-plotly-plot"), 400, 150, "3")
    # the cells are 4 × 11 and the window 64 × 64: the cell that holds row 150 and column 400 has its middle at row 149 and column 401
    expect(row).to_have_value("117")
    expect(column).to_have_value("369")
    expect(page).to_have_url(re.compile(f"row={row.input_value()}&column={column.input_value()}"))
    again = visit(page.url[page.url.index("/masks"):])
    expect(again.get_by_role("spinbutton", name="From row")).to_have_value(row.input_value())
    expect(again.get_by_role("spinbutton", name="From column")).to_have_value(column.input_value())
    expect(again.get_by_role("combobox", name="Layer")).to_have_value(DOWN)


@pytest.mark.long
def test_every_chart_can_be_taken_away_as_a_picture_on_the_page_s_ground(visit):
    page = visit(f"/masks?{SMALL}&layer={DOWN}&pattern=2:4")
    expect(page.locator(".st-key-window .js-plotly-plot")).to_be_visible()
    buttons = page.get_by_role("button", name="PNG", exact=True)
    expect(buttons).to_have_count(page.locator(".js-plotly-plot").count())
    settle(page)
    for place, name in enumerate((f"mask-{DOWN}.png", "mask-window.png")):
        buttons.nth(place).focus()
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == name
        picture = Image.open(download.value.path()).convert("RGBA")
        assert picture.getpixel((1, picture.height - 2)) == (0xFD, 0xFC, 0xF9, 255)
        assert len(picture.crop((0, 0, picture.width, 80)).getcolors(100_000)) > 8, "its title is on it"


def test_a_mark_of_explore_opens_its_layer(visit):
    page = visit("/")
    chart = page.locator(".st-key-layer-errors .js-plotly-plot")
    expect(chart).to_be_visible()
    x, y, name = chart.evaluate("""plot => {
        const trace = plot.data.find(trace => trace.customdata && !trace.marker.symbol.endsWith("-open"));
        const {x, y} = plot.calcdata[plot.data.indexOf(trace)][0]; return [x, y, trace.customdata[0]]; }""")
    press(page, chart, x, y)
    expect(page.get_by_role("heading", name=HEADING)).to_be_visible()
    expect(page).to_have_url(re.compile(f"/layers.*layer={re.escape(name)}"))
    expect(page.get_by_role("combobox", name="Layer")).to_have_value(name)
