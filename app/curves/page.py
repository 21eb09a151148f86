"""The four views of the Curves page: which points, which chart, what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import plotly.graph_objects as go
import streamlit as st

from app.curves import findings
from app.curves.charts import alpha_curves, time_curves
from app.curves.controls import Form
from app.curves.missing_runs import State
from app.curves.query import BUDGETS
from app.shared import dataframes, layout, numbers, state
from app.shared.chart_downloads import take_away
from app.shared.charts.perplexity_curves import BROKEN, block_curves, sparsity_curves
from app.shared.findings import wording
from app.shared.first_paint import first_paint
from app.shared.style import chart_config
from app.shared.sweeps.points import Point
from app.shared.sweeps.published import DENSE, PROTOCOL, SOURCE, Published, paper_name, published_for
from app.shared.sweeps.series import Series, counted, series_of
from app.shared.sweeps.tables import point_rows
from core.spec import make_method, parse_pattern
from core.spec.patterns import Structured, pattern_word

EXPLORE = Path(__file__).resolve().parents[2] / "pages" / "explore.py"
_HEIGHT = {"alpha": 460}
_FORMATS = {
    "method": st.column_config.TextColumn("method", pinned=True), "pattern": "pattern", "block_size": "B",
    "alpha": st.column_config.NumberColumn("α", format="%g"), "alpha_budget": "α budget", "seed": "seed",
    "counted_sparsity": st.column_config.NumberColumn("counted sparsity"),
    "perplexity": st.column_config.NumberColumn("perplexity", format="%.2f"),
    "median_error": st.column_config.NumberColumn("layer error", format="%.3g", help="median relative error of the layers"),
    "median_over_optimum": st.column_config.NumberColumn("error ÷ best", format="%.2f×"),
    "solve_seconds": st.column_config.NumberColumn("solve", format="%.2f s", help="the method alone, all layers"),
    "seconds": st.column_config.NumberColumn("run", format="%.1f s", help="the whole run"),
    "peak_memory_bytes": st.column_config.NumberColumn("peak memory", format="bytes"), "machine": "computed on", "run": "run",
}


def follow() -> None:
    """Go to the run whose mark was pressed."""
    words = state.recall("curves_open", "")
    if words:
        state.forget("curves_open")
        st.switch_page(EXPLORE, query_params=dict(parse_qsl(words)))


def draw_view(form: Form, now: State) -> None:
    """The finding, the chart, and what it stands on."""
    tab, shown = form.asked.tab, chosen(form, now.points)
    series, left = _series(form, shown)
    points = list({id(point): point for one in series for spot in one.spots for point in spot.points}.values())
    if not points:
        draw_empty(form, now)
        return
    dense = points[0].dense
    papers = _published(form, points)
    layout.heading(_about(form), f"{dense.windows} × {dense.length} tokens of {dense.text.partition(':')[0]}, {dense.dtype}")
    finding = _finding(tab, series, points) or f"{numbers.plural(len(points), 'point')} so far: nothing to compare yet."
    layout.sentence(finding)
    figures = {"sparsity": partial(sparsity_curves, published=papers), "blocks": partial(block_curves, published=papers),
               "alpha": alpha_curves, "time": time_curves}
    height = _HEIGHT.get(tab, 430)
    if first_paint():
        st.container(height=height, border=False)
    else:
        figure = figures[tab](series, dense, theme=layout.theme(), height=height, scale=form.asked.scale)
        _chart(figure, tab, f"{len(points)} points. {finding}")
        take_away(f"curves-{tab}", partial(point_rows, points), _protocol(points))
    if left:
        layout.note(left)
    _details(form, points, papers)


def draw_empty(form: Form, now: State) -> None:
    """Neither the store nor what is shipped has a point for this choice."""
    layout.heading(f"No points yet for {_about(form)}", "being computed" if now.active else "")
    layout.sentence("Here you will see how perplexity rises with the sparsity that is counted, one curve a method, with the dense model "
                    "as a line; what block size and outlier rows change; and what the methods cost in time and memory. Each point is an "
                    "ordinary run: the button on the left computes those that are missing, and they appear one by one.")


def chosen(form: Form, points: Sequence[Point]) -> list[Point]:
    """The points of a view: its methods, its pattern, and default parameters but for what it varies. The first of two equal runs."""
    tab, lists = form.asked.tab, form.asked.lists
    kind = parse_pattern(lists["patterns"][0]).kind
    found: dict[object, Point] = {}
    for point in points:
        spec, pattern = point.spec, point.spec.pattern
        fits = spec.method.name in lists["methods"] and (
            pattern.kind == kind if tab == "sparsity" else pattern_word(pattern) == lists["patterns"][0])
        plain = tab == "alpha" or pattern.outlier_rows == 0
        if fits and plain and (point.usual or (tab == "blocks" and _usual_but_block(point))):
            found.setdefault((point.asked, point.machine if tab == "time" else ""), point)
    return list(found.values())


def _usual_but_block(point: Point) -> bool:
    method = point.spec.method
    return method.model_copy(update={"block_size": None}) == make_method(method.name, block_size=None)


def _series(form: Form, points: Sequence[Point]) -> tuple[tuple[Series, ...], str]:
    """The curves of a view, and what was left out of it, in words."""
    tab = form.asked.tab
    if tab == "sparsity":
        return series_of(points, counted), ""
    if tab == "blocks":
        return series_of(points, lambda point: float(getattr(point.spec.method, "block_size", 0))), ""
    if tab == "alpha":
        return _alpha_series(form, points), ""
    machines: dict[str, list[Point]] = {}
    for point in points:
        machines.setdefault(point.machine, []).append(point)
    best = max(machines, key=lambda name: (len({point.spec.method.name for point in machines[name]}), len(machines[name])), default="")
    rest = len(points) - len(machines.get(best, []))
    left = (f"Only runs on the same device with the same number of threads are compared: here {best}. "
            + (f"{numbers.plural(rest, 'point')} computed elsewhere left out: {', '.join(name for name in machines if name != best)}. "
               if rest else "") + "Times are wall time on a machine that may have done other work too.")
    return series_of(machines.get(best, []), lambda point: point.solve_seconds), left if machines else ""


def _alpha_series(form: Form, points: Sequence[Point]) -> tuple[Series, ...]:
    """One series a method and budget. Without outlier rows there is one budget: that point belongs to both."""
    structured = isinstance(parse_pattern(form.asked.lists["patterns"][0]), Structured)
    budgets = {"": None} if structured else {BUDGETS[name]: name for name in form.asked.lists["budgets"]}
    found: list[Series] = []
    for label, budget in budgets.items():
        mine = [point for point in points if budget is None or not point.spec.pattern.outlier_rows
                or getattr(point.spec.pattern, "alpha_budget", None) == budget]
        found += series_of(mine, lambda point: point.spec.pattern.outlier_rows, label)
    return tuple(found)


def _finding(tab: str, series: Sequence[Series], points: Sequence[Point]) -> str:
    """Finding of the curves."""
    match tab:
        case "sparsity":
            return findings.sparsity_finding(series, points[0].dense)
        case "blocks":
            return findings.block_finding(series)
        case "alpha":
            return findings.alpha_finding(series)
        case _:
            return findings.time_finding(series)


def _chart(figure: go.Figure, tab: str, alt: str) -> None:
    st.plotly_chart(figure, theme=None, key=f"curves-{tab}-chart", config=chart_config(f"curves-{tab}"), alt=alt,
                    on_select=partial(_pressed, f"curves-{tab}-chart"), selection_mode="points")


def _pressed(key: str) -> None:
    """Remember whose mark it was. What the browser sends is only ever the words of a link."""
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget(key) or {}
    words = next((point.get("customdata") for point in chart.get("selection", {}).get("points", ())), None)
    if isinstance(words, str | list) and words:
        state.remember("curves_open", words if isinstance(words, str) else str(words[0]))


def _about(form: Form) -> str:
    patterns = form.asked.lists["patterns"]
    kinds = {"unstructured": "any weights", "semi-structured": "n:m", "structured": "whole columns"}
    first = parse_pattern(patterns[0])
    return f"{form.asked.base.model} · {kinds[first.kind] if form.asked.tab == 'sparsity' else wording.describe_pattern(first)}"


def _published(form: Form, points: Sequence[Point]) -> tuple[Published, ...]:
    """The paper's numbers for this view, where model and protocol agree."""
    patterns = form.asked.lists["patterns"]
    kind = parse_pattern(patterns[0]).kind
    mine = [number for number in published_for(points) if number.method in form.asked.lists["methods"]]
    if form.asked.tab == "sparsity":
        return tuple(number for number in mine if number.pattern.kind == kind and number.block_size is None)
    return tuple(number for number in mine if number.block_size is not None and pattern_word(number.pattern) == patterns[0])


def _protocol(points: Sequence[Point]) -> tuple[str, ...]:
    windows = dict.fromkeys(point.calibration for point in points)
    return (f"evaluation: {points[0].pruned.protocol}", *(f"calibration: {text}" for text in windows),
            f"dense perplexity: {points[0].dense.perplexity!r}")


def _details(form: Form, points: Sequence[Point], papers: Sequence[Published]) -> None:
    measured, every, repeat = st.tabs(["How it was measured", "Every point", "Repeat it"], key=f"curves-{form.asked.tab}-details",
                                      on_change="rerun")
    if measured.open:
        with measured:
            layout.facts(_facts(form, points, papers))
    if every.open:
        rows = dataframes.table(point_rows(points), ["counted_sparsity"])
        every.dataframe(rows, hide_index=True, column_config=_FORMATS, column_order=tuple(_FORMATS), height=300, placeholder="",
                        alt="Every point of the chart with its numbers")
    if repeat.open:
        repeat.caption("The runs chosen on the left, computed from a terminal:")
        repeat.code("\n".join(form.sweep.commands()), language=None, wrap_lines=True)


def _facts(form: Form, points: Sequence[Point], papers: Sequence[Published]) -> list[tuple[str, str]]:
    point = points[0]
    shipped = sum(not point.key for point in points)
    seeds = sorted({point.spec.calibration.seed for point in points})
    texts = point.calibration if len(seeds) == 1 else f"{point.calibration.rpartition(', ')[0]}, seeds {', '.join(map(str, seeds))}"
    facts = [
        ("Perplexity", f"{point.pruned.protocol}; exp of the mean loss. From {BROKEN:g} times the dense perplexity on, a mark stands on "
         "the upper edge with its number"),
        ("Calibration", texts),
        ("Lines and bands", "medians over the seeds; bands from the least to the greatest, where there are several seeds"),
        ("Points", f"{len(points)}, {shipped} of them shipped with PruneScope; computed on "
         + " and on ".join(dict.fromkeys(point.machine for point in points))),
        ("Published numbers", _paper_words(form, papers)),
    ]
    return [*facts, *(("Doubt", text) for text in dict.fromkeys(number.doubt for number in papers if number.doubt))]


def _paper_words(form: Form, papers: Sequence[Published]) -> str:
    model = form.asked.base.model
    name = paper_name(model)
    if papers:
        anchor = f" The paper's dense model: {DENSE[papers[0].model]:.2f}." if papers[0].model in DENSE else ""
        return f"hollow marks: {SOURCE}, {papers[0].model}, {PROTOCOL}.{anchor}"
    if name is None:
        return f"none: no paper has numbers for {model}."
    return f"none shown: the papers' numbers for {name} are of {PROTOCOL}, or of another view."
