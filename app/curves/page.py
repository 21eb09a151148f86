"""The five views of the Curves page: which points, which chart, what it says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from urllib.parse import parse_qsl

import plotly.graph_objects as go
import streamlit as st

from app.curves import address, controls, details, guided, missing_runs, speeds, text_choice, troubles
from app.curves.charts import alpha_curves, block_curves, time_curves
from app.curves.controls import Form
from app.curves.findings import view_finding
from app.curves.missing_runs import State
from app.curves.selection import chosen, published_in, series_for
from app.shared import layout, numbers, state
from app.shared.chart_downloads import take_away
from app.shared.charts.perplexity_curves import sparsity_curves
from app.shared.charts.shapes import shape_curves
from app.shared.findings import wording
from app.shared.first_paint import first_paint
from app.shared.page_links import EXPLORE
from app.shared.plot import plot
from app.shared.pressed_marks import pressed_word
from app.shared.style import chart_config
from app.shared.sweeps.points import Point
from app.shared.sweeps.tables import point_rows
from core.spec import parse_pattern
from core.spec.patterns import KINDS

_HEIGHT = {"alpha": 460, "shapes": 480}


def draw() -> None:
    """Draw the whole page, from its link."""
    _follow()
    layout.begin("How far can I go?")
    notes = address.arrive()
    controls.draw_tabs()
    with st.sidebar:
        controls.draw_controls()
        choice, button = st.container(), st.container()
        controls.draw_more()
    form = controls.read()
    with choice:
        text_choice.draw(form.asked.base)
    now = missing_runs.look(form.sweep)
    with button:
        missing_runs.draw_button(now, ready=not form.complaints, with_speed=form.asked.tab == "shapes")
    address.write(form)
    layout.link_notes(notes, on_dismiss=address.dismiss)
    layout.complaints(form.complaints)
    missing_runs.draw_activity(now)
    _draw_view(form, now)
    troubles.draw_troubles(now)


def _follow() -> None:
    """Go to the run whose mark was pressed."""
    words = state.recall("curves_open", "")
    if words:
        state.forget("curves_open")
        st.switch_page(EXPLORE, query_params=dict(parse_qsl(words)))


def _draw_view(form: Form, now: State) -> None:
    """The finding, the chart, and what it stands on."""
    tab, shown = form.asked.tab, chosen(form, now.points)
    series, left = series_for(form, shown)
    points = list({id(point): point for one in series for spot in one.spots for point in spot.points}.values())
    if not points:
        _draw_empty(form, now, left)
        return
    dense = points[0].dense
    papers = published_in(form, points)
    layout.heading(_about(form), f"{dense.windows} × {dense.length} tokens of {dense.text.partition(':')[0]}, {dense.dtype}")
    finding = view_finding(tab, series, dense, form.asked.over) or f"{numbers.plural(len(points), 'point')} so far: nothing to compare yet."
    layout.sentence(finding)
    figures = {"sparsity": partial(sparsity_curves, published=papers), "blocks": partial(block_curves, published=papers),
               "alpha": alpha_curves, "time": time_curves, "shapes": partial(shape_curves, over=form.asked.over)}
    height = _HEIGHT.get(tab, 430)
    first = first_paint()
    if first:
        st.container(height=height, border=False)
    else:
        figure = figures[tab](series, dense, theme=layout.theme(), height=height, scale=form.asked.scale)
        _chart(figure, tab, f"{len(points)} points. {finding}")
        take_away(f"curves-{tab}", partial(point_rows, points), _protocol(points))
    if left:
        layout.note(left)
    if tab == "shapes":
        speeds.draw(shown)
    details.draw(form, points, papers, charts=not first)


def _draw_empty(form: Form, now: State, left: str) -> None:
    """Neither the store nor what is shipped has a point for this choice. `left`: what was left out, and why."""
    if left:
        layout.note(left)
    layout.heading(f"No points yet for {_about(form)}", "being computed" if now.active else "")
    layout.sentence("Here you will see how perplexity rises with the sparsity that is counted, one curve a method, with the dense model "
                    "as a line; what block size and outlier rows change; and what the methods cost in time and memory. Each point is an "
                    "ordinary run: the button on the left computes those that are missing, and they appear one by one.")
    if form.asked.tab == "shapes":
        with st.expander("Blocks per input", key="curves-guided"):
            guided.draw(form.asked.guided, form.asked.base, charts=not first_paint())


def _chart(figure: go.Figure, tab: str, alt: str) -> None:
    plot(figure, key=f"curves-{tab}-chart", config=chart_config(f"curves-{tab}"), alt=alt,
                    on_select=partial(_pressed, f"curves-{tab}-chart"), selection_mode="points")


def _pressed(key: str) -> None:
    """Remember whose mark it was. What the browser sends is only ever the words of a link."""
    words = pressed_word(key)
    if isinstance(words, str) and words:
        state.remember("curves_open", words)


def _about(form: Form) -> str:
    patterns = form.asked.lists["patterns"]
    if form.asked.tab == "shapes":
        return f"{form.asked.base.model} · {wording.listed([KINDS[kind].label for kind in _kinds(patterns)])}"
    first = parse_pattern(patterns[0])
    return f"{form.asked.base.model} · {first.label if form.asked.tab == 'sparsity' else wording.describe_pattern(first)}"


def _kinds(patterns: Sequence[str]) -> dict[str, None]:
    return dict.fromkeys(parse_pattern(word).kind for word in patterns)


def _protocol(points: Sequence[Point]) -> tuple[str, ...]:
    windows = dict.fromkeys(point.calibration for point in points)
    return (f"evaluation: {points[0].pruned.protocol}", *(f"calibration: {text}" for text in windows),
            f"dense perplexity: {points[0].dense.perplexity!r}")
