"""What only a browser can show of Layers and Masks: a press on a cell opens its layer, on the mask moves the loupe; links restore."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(290)]

SMALL = "windows=4&length=32&evaluation_windows=4&evaluation_length=64&method=wanda"
DOWN = "model.layers.3.mlp.down_proj"


def press(page, chart, x, y):
    """Press where a value lies in a chart."""
    place = page.locator(f".st-key-{chart} .js-plotly-plot").evaluate(
        """(plot, [x, y]) => { const box = plot.getBoundingClientRect(), {xaxis, yaxis, _size} = plot._fullLayout;
           return [box.x + _size.l + xaxis.l2p(x), box.y + _size.t + yaxis.l2p(y)]; }""", [x, y])
    page.mouse.move(*place)
    page.mouse.move(place[0] + 1, place[1])
    page.mouse.click(place[0] + 1, place[1])


def test_a_press_on_a_cell_opens_its_layer(visit):
    page = visit(f"/layers?{SMALL}&layer={DOWN}")
    expect(page.get_by_text("In 3.mlp.down_proj Wanda leaves")).to_be_visible()
    expect(page.locator(".st-key-map .js-plotly-plot")).to_be_visible()
    press(page, "layers-map", 1, 3)  # block 1, the fourth module
    expect(page.get_by_text("In 1.self_attn.o_proj Wanda leaves")).to_be_visible()
    expect(page).to_have_url(re.compile("layer=model.layers.1.self_attn.o_proj"))
    expect(page.locator(".st-key-layers_layer").first).to_contain_text("model.layers.1.self_attn.o_proj")


def test_a_press_on_the_mask_moves_the_loupe_and_the_link_restores_it(visit):
    page = visit(f"/masks?{SMALL}&layer={DOWN}&pattern=2:4&row=64&column=128")
    row, column = page.get_by_role("spinbutton", name="From row"), page.get_by_role("spinbutton", name="From column")
    expect(row).to_have_value("64")
    expect(column).to_have_value("128")
    expect(page.locator(".st-key-masks .st-key-masks-overview .js-plotly-plot")).to_be_visible()
    plot = page.locator(".st-key-masks-overview .js-plotly-plot")
    box = plot.evaluate("""plot => { const box = plot.getBoundingClientRect(), {xaxis3: x, yaxis3: y} = plot._fullLayout;
                           return [box.x + x._offset + x.l2p(400), box.y + y._offset + y.l2p(150)]; }""")
    page.mouse.move(*box)
    page.mouse.click(*box)
    expect(row).to_have_value(re.compile(r"11[5-9]|12[01]"))
    expect(column).to_have_value(re.compile(r"36\d|37\d"))
    expect(page).to_have_url(re.compile(r"row=1\d\d.*column=3[67]\d|column=3[67]\d.*row=1\d\d"))
    again = visit(page.url.partition("127.0.0.1")[2].partition("/")[1] + page.url.partition("127.0.0.1")[2].partition("/")[2])
    expect(again.get_by_role("spinbutton", name="From row")).to_have_value(row.input_value())
    expect(again.locator(".st-key-masks_layer").first).to_contain_text(DOWN)


def test_a_mark_of_explore_opens_its_layer(visit):
    page = visit("/")
    chart = page.locator(".st-key-layer-errors .js-plotly-plot").first
    expect(chart).to_be_visible()
    place = chart.evaluate("""plot => { const box = plot.getBoundingClientRect(), {xaxis: x, yaxis: y} = plot._fullLayout;
        const trace = plot.data.find(trace => trace.customdata && !String(trace.marker.symbol).endsWith("-open"));
        const at = (axis, values) => axis._offset + axis.d2p(values[0]);
        return [box.x + at(x, plot.calcdata[plot.data.indexOf(trace)].map(point => point.x)),
                box.y + at(y, plot.calcdata[plot.data.indexOf(trace)].map(point => point.y)), trace.name]; }""")
    page.mouse.move(place[0], place[1])
    page.mouse.click(place[0], place[1])
    expect(page).to_have_url(re.compile("/layers"))
    expect(page.get_by_role("heading", name="Where does it hurt")).to_be_visible()
