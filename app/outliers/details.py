"""Below the charts: which columns go, which rows stay, how it was measured. What is not open is not computed."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.outliers import charts, findings
from app.shared import alpha_effect, layout, numbers
from app.shared.chart_downloads import take_away
from app.shared.plot import plot
from app.shared.style import chart_config
from core.records.outlier_rows import LayerRows
from core.spec import RunSpec

_SOUGHT = ("sought, and not found: of seven recipes for a model of 7 MB (plain, two group lassos on rows, nested dropout in two strengths, "
           "a high learning rate, strong weight decay) the best gains 4.8 % at equal counted sparsity, α = 0.2 and 30 % of the columns, on "
           "a model of perplexity 176; trained longer it gains 1.5 %. Three recipes were not tried. The table is in docs/strong-rows.md")


def draw(spec: RunSpec, view: LayerRows | None) -> None:
    columns, which, measured = st.tabs(["Which columns go", "Which rows stay", "How it was measured"], key="outlier-details",
                                       on_change="rerun")
    if columns.open:
        with columns:
            _draw_columns(view)
    if which.open and view is not None:
        with which:
            stay = ", ".join(map(str, view.dense_rows)) or "none"
            layout.facts([
                ("Rows that stay dense", stay),
                ("Layer error", ("about " if view.estimated else "")
                 + f"{numbers.error(view.error)} at {numbers.percent(view.counted_sparsity)} counted sparsity; "
                 f"without outlier rows {numbers.error(view.error_without)} at {numbers.percent(view.counted_without)}"
                 + (". Estimated from some rows, as the layer is large." if view.estimated else ""))])
    if measured.open:
        with measured:
            layout.facts([*alpha_effect.facts(spec), ("Models in which α pays more", _SOUGHT)])


def _draw_columns(view: LayerRows | None) -> None:
    if view is None:
        return
    if view.columns is None:
        layout.sentence("This pattern takes single weights, not whole columns. Choose the pattern “columns” on the left to see which "
                        "columns go, and how the rows that stay decide it.")
        return
    layout.sentence(findings.column_finding(view))
    plot(charts.column_losses(view, theme=layout.theme()), key="column-losses",
                    config=chart_config("columns-by-loss"), alt=findings.column_finding(view))
    take_away("outlier-columns", partial(charts.column_rows, view),
              (view.name, "v_j = Σ W_ij²·G_jj over the rows that are pruned, each as often as it counts"))
