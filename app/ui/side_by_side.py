"""The answer of a comparison: what differs, what it led to, every layer; and how to take it away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from app.figures import comparison, numbers, tables
from app.figures.compared_charts import errors, perplexities, perplexities_height
from app.figures.comparison import Compared
from app.figures.style import chart_config
from app.figures.verdict import cautions, verdict
from app.link import command_line
from app.ui import layout
from app.ui.choosing import glyph
from app.ui.paint import first_paint
from app.ui.takeaway import take_away

_ERRORS_HEIGHT = 350
_BESIDE = 3  # up to so many runs the table leaves room for a chart beside it


def draw_comparison(runs: Sequence[Compared]) -> None:
    """Everything about two or more runs."""
    models = list(dict.fromkeys(run.result.spec.model for run in runs))
    layout.heading(f"{len(runs)} runs of {' and '.join(models)}", comparison.what_differs(runs))
    layout.sentence(verdict(runs))
    layout.cautions("Not everything is alike.", cautions(runs))
    later, protocol = first_paint(), tables.compared_protocol(runs)
    with st.container(horizontal=len(runs) <= _BESIDE, gap="medium"):
        st.html(_table(runs), width="content" if len(runs) <= _BESIDE else "stretch")
        with st.container(gap="small", key="perplexity-side"):
            if later:
                st.container(height=perplexities_height(runs), border=False)
            else:
                st.plotly_chart(perplexities(runs, theme=layout.theme()), theme=None, key="perplexities",
                                config=chart_config("perplexities"), alt=verdict(runs))
                take_away("perplexities", partial(tables.compared_rows, runs), protocol)
    layout.aside(f"Alike: {comparison.equal_settings(runs)}.")
    if later:
        st.container(height=_ERRORS_HEIGHT, border=False)
    else:
        st.plotly_chart(errors(runs, theme=layout.theme(), height=_ERRORS_HEIGHT), theme=None, key="compared-errors",
                        config=chart_config("compared-errors"), alt=f"Error of every layer. {verdict(runs)}")
        take_away("compared-errors", partial(tables.compared_layers, runs), protocol)
    _details(runs)


def draw_too_few(runs: Sequence[Compared]) -> None:
    """Nothing to compare yet: what this page will show."""
    layout.heading("One more run is needed" if runs else "No runs to compare")
    layout.sentence("This page shows two to six runs side by side: what was asked differently, then perplexity, the error of every "
                    "layer beside the best possible, and which weights went in one and not in the other.")


def _details(runs: Sequence[Compared]) -> None:
    measured, layers, repeat = st.tabs(["How it was measured", "Every layer", "Repeat it, take it away"], key="compared-details",
                                       on_change="rerun")
    with measured:
        layout.facts([
            *_once_or_each(runs, "Perplexity", [
                f"{run.result.pruned.protocol}; text sha256 {run.result.pruned.text_sha256[:16]}…" for run in runs]),
            *_once_or_each(runs, "Calibration", [run.result.calibration for run in runs]),
            ("Layer error", "tr(ΔGΔᵀ) / tr(WGWᵀ) on the run's own inputs: they pass through the blocks that this run has pruned; "
                            "best possible: least squares over the kept weights"),
            *_once_or_each(runs, "Computed", [
                f"{numbers.moment(run.result.environment.started)} on {run.result.environment.device}" for run in runs])])
    if layers.open:
        with layers:
            st.dataframe(tables.compared_layers(runs), hide_index=True, column_config=_formats(runs), height=420,
                         alt="The layers that all runs have, with their errors")
    if repeat.open:
        for run in runs:
            repeat.code(command_line(run.result.spec), language=None, wrap_lines=True)


def _once_or_each(runs: Sequence[Compared], term: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """What is the same for all is said once."""
    if len(set(texts)) == 1:
        return [(term, texts[0])]
    return [(f"{term}, {run.label}", text) for run, text in zip(runs, texts, strict=True)]


def _formats(runs: Sequence[Compared]) -> dict[str, ColumnConfig]:
    formats: dict[str, ColumnConfig] = {"layer": st.column_config.TextColumn("layer", pinned=True)}
    for run in runs:
        formats[run.label] = st.column_config.NumberColumn(run.label, format="%.3g", help="relative error of the layer's output")
        best, sparsity = f"{run.label}, best possible", f"{run.label}, counted sparsity"
        formats[best] = st.column_config.NumberColumn(best, format="%.3g", help="least error for the same mask")
        formats[sparsity] = st.column_config.NumberColumn(sparsity, format="percent")
    return formats


def _table(runs: Sequence[Compared]) -> str:
    """What was asked differently, then what was found."""
    head = "".join(f"<th scope='col'>{glyph(run)} {escape(run.label)}</th>" for run in runs)
    asked = [(item.setting, item.values) for item in comparison.differences(runs) if item.setting != "Method"]  # that is in the labels
    body = "".join(_line(name, values) for name, values in asked) + "".join(
        _line(name, values, first=place == 0) for place, (name, values) in enumerate(_found(runs)))
    return f"<table class='ps-table'><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _line(name: str, values: Sequence[str], *, first: bool = False) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f"<tr{' class=ps-ruled' if first else ''}><th scope='row'>{escape(name)}</th>{cells}</tr>"


def _found(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    results = [run.result for run in runs]
    return [
        ("Perplexity, dense → pruned",
         [f"{numbers.perplexity(item.dense.perplexity)} → {numbers.perplexity(item.pruned.perplexity)}" for item in results]),
        ("Counted sparsity", [numbers.percent(item.counted_sparsity) for item in results]),
        ("Error over optimum, median", [numbers.over_optimum(item.median_gap) for item in results]),
        ("Time · memory", [f"{numbers.seconds(item.seconds)} · {numbers.size(item.peak_memory_bytes)}" for item in results]),
    ]
