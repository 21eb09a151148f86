"""The answer of a comparison: what differs, what it led to, every layer; and how to take it away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from app.compare import controls, query, shapes
from app.compare.overlaps import draw_overlaps, report_of
from app.compare.query import Choice
from app.report import file_name, runs_json
from app.shared import comparison, dataframes, layout, numbers, resources, tables
from app.shared.chart_downloads import take_away
from app.shared.charts.comparison import errors, perplexities, perplexities_height
from app.shared.comparison import Compared, compare
from app.shared.findings import facts, wording
from app.shared.findings.cautions import cautions
from app.shared.findings.comparison import verdict
from app.shared.first_paint import first_paint
from app.shared.link import command_line
from app.shared.markup import comparison_table
from app.shared.plot import plot
from app.shared.style import chart_config
from core.spec import METHOD_LABELS

_ERRORS_HEIGHT = 350
_BESIDE = 3  # up to so many runs the table leaves room for a chart beside it


def draw() -> None:
    """Draw the whole page, from its link."""
    layout.begin("What changed?")
    choice = query.arrive()
    runs = compare([run.result for run in choice.runs], [run.name for run in choice.runs])
    query.write(choice)
    with st.sidebar:
        controls.draw_choice(choice, runs)
    controls.draw_dialog()
    layout.link_notes(choice.notes, on_dismiss=query.dismiss)
    if len(runs) > 1:
        _draw_comparison(choice, runs)
    else:
        _draw_too_few(runs)


def _draw_comparison(choice: Choice, runs: Sequence[Compared]) -> None:
    """Everything about two or more runs."""
    layout.heading(comparison.title(runs), comparison.what_differs(runs))
    layout.sentence(verdict(runs))
    layout.cautions("Not everything is alike.", cautions(runs))
    later, protocol = first_paint(), tables.compared_protocol(runs)
    with st.container(horizontal=len(runs) <= _BESIDE, gap="medium"):
        st.html(comparison_table(runs), width="content" if len(runs) <= _BESIDE else "stretch")
        with st.container(gap="small", key="perplexity-side"):
            if later:
                st.container(height=perplexities_height(runs), border=False)
            else:
                plot(perplexities(runs, theme=layout.theme()), key="perplexities",
                                config=chart_config("perplexities"), alt=verdict(runs))
                take_away("perplexities", partial(tables.compared_rows, runs), protocol)
    layout.aside(f"Alike: {comparison.equal_settings(runs)}.")
    if later:
        st.container(height=_ERRORS_HEIGHT, border=False)
    else:
        plot(errors(runs, theme=layout.theme(), height=_ERRORS_HEIGHT), key="compared-errors",
                        config=chart_config("compared-errors"), alt=f"Error of every layer. {verdict(runs)}")
        take_away("compared-errors", partial(tables.compared_layers, runs), protocol)
    _details(choice, runs)


def _draw_too_few(runs: Sequence[Compared]) -> None:
    """Nothing to compare yet: what this page will show."""
    layout.heading("One more run is needed" if runs else "No runs to compare")
    layout.sentence("This page shows two to six runs side by side: what was asked differently, then perplexity, the error of every "
                    "layer beside the best possible, and which weights went in one and not in the other. "
                    "Choose runs on the left, or mark them on the Runs page.")
    words = query.example()
    if words:
        specs = [resources.shipped()[word.removeprefix(query.SHIPPED)].spec for word in words]
        names = wording.listed([METHOD_LABELS[spec.method.name] for spec in specs])
        st.button(f"Compare two shipped runs: {names}, {wording.describe_pattern(specs[0].pattern)}", key="compare-shipped",
                  on_click=query.choose, args=(words,))


def _details(choice: Choice, runs: Sequence[Compared]) -> None:
    measured, layers, masks, smaller, repeat = st.tabs(
        ["How it was measured", "Every layer", "Masks", "Size and speed", "Repeat it, take it away"], key="compared-details",
        on_change="rerun")
    with measured:
        layout.facts(facts.measured_together(runs))
    if layers.open:
        with layers:
            st.dataframe(dataframes.table(tables.compared_layers(runs), _forms(runs)), hide_index=True, column_config=_formats(runs),
                         height=420, alt="The layers that all runs have, with their errors")
    if masks.open:
        with masks:
            draw_overlaps(choice, runs)
    if smaller.open:
        with smaller:
            shapes.draw(choice, runs)
    if repeat.open:
        for run in runs:
            repeat.code(command_line(run.result.spec), language=None, wrap_lines=True)
        results = [run.result for run in runs]
        name = file_name(results)
        with repeat.container(horizontal=True):
            st.download_button("Report as HTML", report_of(choice), f"{name}.html", "text/html", on_click="ignore", key="report",
                               help="One file with charts, tables and the runs themselves; opens anywhere, without a network.")
            st.download_button("Runs as JSON", partial(runs_json, results), f"{name}.json", "application/json", on_click="ignore",
                               key="json")


def _forms(runs: Sequence[Compared]) -> dataframes.Forms:
    """Forms of the numbers in the table of layers, by column."""
    return {f"{run.label}{what}": form for run in runs for what, form in (
        ("", numbers.error), (", best possible", numbers.error), (", counted sparsity", numbers.fine_percent))}


def _formats(runs: Sequence[Compared]) -> dict[str, ColumnConfig]:
    formats: dict[str, ColumnConfig] = {"layer": st.column_config.TextColumn("layer", pinned=True)}
    for run in runs:
        formats[run.label] = st.column_config.NumberColumn(run.label, help="relative error of the layer's output")
        best = f"{run.label}, best possible"
        formats[best] = st.column_config.NumberColumn(best, help="least error for the same mask")
    return formats
