"""Below the map: the chosen layer by rows and columns, its weights before and after. What is not open is not computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from app.layers import findings
from app.layers.charts import details
from app.layers.questions import Bins, HistogramQuestion, Parts, PartsQuestion, Weights, WeightsQuestion
from app.shared import answers, layout, numbers
from app.shared.chart_downloads import Rows, take_away
from app.shared.findings import facts, wording
from app.shared.layer_choice import Map
from app.shared.plot import plot
from app.shared.style import chart_config, method_mark
from app.workers.questions import Question
from core.records import LayerRecord
from core.records.previews import LayerEstimate, is_large
from core.spec import RunSpec

_ORDERS = ("in place", "greatest first")


def draw(spec: RunSpec, layer: str, record: LayerRecord | None, known: Map | None, *, told: str | None = None) -> None:
    """Four tabs. `told`: a reason that the page gives already why there is no answer."""
    first = isinstance(record, LayerEstimate)
    behind = record is not None and is_large(*record.shape)
    parts, weights, histogram, measured = st.tabs(["Rows and columns", "Weights", "Histogram", "How it was measured"], key="layers-tabs",
                                                  on_change="rerun")
    color, theme = method_mark(spec.method.name).color, layout.theme()
    if parts.open:
        with parts:
            ordered = st.segmented_control("Order", _ORDERS, default=_ORDERS[0], key="layers_order", required=True,
                                           label_visibility="collapsed", persist_state="session") == _ORDERS[1]
            draw_parts = partial(details.error_parts, ordered=ordered, color=color, theme=theme)
            _view(PartsQuestion(spec=spec, layer=layer, behind=behind), "parts", draw_parts, findings.parts_finding, _parts_rows, told,
                  later=first)
    if weights.open:
        with weights:
            _view(WeightsQuestion(spec=spec, layer=layer, behind=behind), "weights", partial(details.weight_maps, theme=theme),
                  findings.weights_finding, _weights_rows, told, later=first and not spec.leaves_kept_weights)
    if histogram.open:
        with histogram:
            _view(HistogramQuestion(spec=spec, layer=layer, behind=behind), "histogram",
                  partial(details.weight_histogram, color=color, theme=theme), findings.histogram_finding, _bins_rows, told,
                  later=first and not spec.leaves_kept_weights)
    if measured.open:
        with measured:
            layout.facts(_facts(spec, layer, record, known))


def _view(question: Question, place: str, figure: Callable[..., go.Figure], finding: Callable[..., str], rows: Callable[..., Rows],
          told: str | None, *, later: bool) -> None:
    """One of the charts. `later`: not before all rows of a large layer are solved."""
    if later:
        answers.leave(place)
        layout.aside("Shown once this layer is solved on all of its rows.")
        return
    shown = answers.ask(question, place)
    if shown.problem and shown.problem == told:
        layout.aside("Nothing can be shown here, for the reason above.")
    else:
        answers.tell(shown, "Solving this layer")
    if shown.answer is None:
        return
    with st.container(key=f"layers-{place}" if shown.fits else f"old-answer-{place}"):
        text = finding(shown.answer)
        layout.sentence(text)
        plot(figure(shown.answer), key=f"layers-{place}-chart", config=chart_config(f"layer-{place}"), alt=text)
        spec = question.spec
        take_away(f"layer-{place}", partial(rows, shown.answer),
                  (spec.title, str(getattr(question, "layer", "")), "solved alone from the dense model's Gram matrices"))


def _parts_rows(parts: Parts) -> Rows:
    dense = set(parts.dense_rows.tolist())
    rows = [{"of": "output row", "index": at, "share_of_error": share, "outlier": at in dense}
            for at, share in enumerate(parts.rows.tolist())]
    columns = [{"of": "input column", "index": at, "share_of_error": share, "removed": removed}
               for at, (share, removed) in enumerate(zip(parts.columns.tolist(), parts.removed.tolist(), strict=True))]
    return [*rows, *columns]


def _weights_rows(weights: Weights) -> Rows:
    high, wide = weights.cell
    return [{"first_row": high * i, "first_column": wide * j, "mean_before": float(weights.before[i, j]),
             "mean_after": float(weights.after[i, j]), "largest_change": float(weights.change[i, j])}
            for i in range(weights.before.shape[0]) for j in range(weights.before.shape[1])]


def _bins_rows(bins: Bins) -> Rows:
    columns = {"from": bins.edges[:-1], "to": bins.edges[1:], "removed_before": bins.removed_before, "kept_before": bins.kept_before,
               "kept_after": bins.kept_after}
    return [dict(zip(columns, row, strict=True)) for row in zip(*(column.tolist() for column in columns.values()), strict=True)]


def _facts(spec: RunSpec, layer: str, record: LayerRecord | None, known: Map | None) -> list[tuple[str, str]]:
    found = [("Map", f"{known.origin}; {known.calibration}")] if known else []
    found += [
        ("Layer", f"{layer}, solved alone from the dense model's Gram matrices. A run solves it after pruning the blocks before "
         "it, so its errors differ a little."),
        ("Methods", "each with its default parameters and own update, but for the method of the controls, which is as they say"),
        ("Error", "tr(ΔGΔᵀ) / tr(WGWᵀ) on the calibration tokens"),
        ("Best possible", "least squares over the kept weights, by conjugate gradients until a step gains less than 0.01 %; of a "
         "large layer estimated from some of its rows, which hovering tells"),
        ("Rows, columns", "row i has Σⱼ Δᵢⱼ(ΔG)ᵢⱼ of the error, column j Σᵢ Δᵢⱼ(ΔG)ᵢⱼ; both sum to the whole"),
        *facts.weighed(spec),
    ]
    if record is not None:
        used = f", damping λ = {numbers.setting(record.damping)}" if record.damping is not None else ""
        found.append((wording.short_name(record), f"{record.shape[0]} × {record.shape[1]}, {record.tokens} tokens{used}, "
                      f"{record.dense_rows} rows and {record.dense_columns} columns left dense"))
    return found
