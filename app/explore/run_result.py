"""The answer of a run: four numbers, a sentence, the error of every layer, and how to repeat it and take it away."""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from app.explore import exported_model, layer_link, run_on_curves, run_preview, size_and_speed
from app.report import file_name, report
from app.shared import dataframes, layout, numbers, submission, tables
from app.shared.chart_downloads import take_away
from app.shared.charts.block_scores import block_scores
from app.shared.charts.layer_errors import layer_errors
from app.shared.findings import facts, wording
from app.shared.findings.published import published_sentence
from app.shared.first_paint import first_paint
from app.shared.layout import Figure
from app.shared.link import command_line
from app.shared.markup import texts_table
from app.shared.plot import plot
from app.shared.run_lookup import Answer
from app.shared.style import chart_config
from core.records import RemovedShape, RunResult
from core.records.runs import ONE_TEXT
from core.spec import RunSpec

_CHART_HEIGHT = 400
_LAYER_FORMATS = {
    "layer": st.column_config.TextColumn("layer", pinned=True),
    "outputs": st.column_config.NumberColumn("outputs"), "inputs": st.column_config.NumberColumn("inputs"),
    "counted_sparsity": st.column_config.NumberColumn("counted sparsity"),
    "relative_error": st.column_config.NumberColumn("error", help="relative error of the layer's output"),
    "optimum_error": st.column_config.NumberColumn("best possible", help="least error for the same mask"),
    "over_optimum": st.column_config.NumberColumn("error ÷ best"),
    "seconds": st.column_config.NumberColumn("time"),
    "damping": st.column_config.NumberColumn("λ used"),
    "dense_rows": st.column_config.NumberColumn("dense rows", help="outlier rows that were left as they are"),
    "dense_columns": st.column_config.NumberColumn("dense columns", help="a last group shorter than m, left as it is"),
}
_FORMS = {"counted_sparsity": numbers.fine_percent, "relative_error": numbers.error, "optimum_error": numbers.error,
          "over_optimum": numbers.times, "seconds": numbers.seconds, "damping": numbers.setting}


def draw_answer(answer: Answer) -> None:
    """The whole answer. One that does not fit the controls is dimmed and says what it is an answer to."""
    result = answer.result
    with st.container(key="answer" if answer.fits else "old-answer", gap="small"):
        layout.heading(wording.describe(result.spec), answer.name, wording.describe_rest(result.spec), _origin(answer))
        layout.figures(_figures(result))
        layout.sentence(" ".join(filter(None, (run_preview.compare(result) if answer.fits else "", wording.finding(result)))))
        if result.further_evaluations:
            st.html(texts_table(result))
        if result.one_text:
            layout.note(ONE_TEXT, tone="bad", title="One text for both.")
        if wording.caution(result):
            layout.note(wording.caution(result))
        if published_sentence(result):
            layout.aside(published_sentence(result))
        if first_paint():
            st.container(height=_CHART_HEIGHT, border=False)
        else:
            run_on_curves.draw_pair(partial(_draw_layers, answer), result.spec, dense=result.dense, sparsity=result.counted_sparsity,
                                    perplexity=result.pruned.perplexity, name="this run" if answer.fits else "earlier run",
                                    height=_CHART_HEIGHT)
        _details(result, "details" if answer.fits else "old-details")


def _draw_layers(answer: Answer) -> None:
    result, name = answer.result, "layer-errors" if answer.fits else "old-layer-errors"
    if result.shape is not None and result.shape.scores:
        _draw_scores(result.shape, result, name)
        return
    figure = layer_errors(result.layers, theme=layout.theme(), calibration=result.calibration, height=_CHART_HEIGHT)
    plot(figure, key=name, config=chart_config("layer-errors"), on_select=partial(layer_link.pressed, name),
                    selection_mode="points", alt=f"Error of {numbers.plural(len(result.layers), 'layer')}. {wording.finding(result)}")
    take_away(name, partial(tables.layer_rows, result.layers), tables.layers_protocol(result))


def _draw_scores(shape: RemovedShape, result: RunResult, name: str) -> None:
    plot(block_scores(shape, result.spec.method.name, theme=layout.theme(), height=_CHART_HEIGHT), key=name,
         config=chart_config("block-scores"), alt=f"Scores of {numbers.plural(len(shape.scores), 'block')}. {wording.finding(result)}")
    take_away(name, partial(tables.score_rows, shape), (result.spec.title, result.calibration, shape.score))


def draw_empty() -> None:
    """Nothing was ever computed here: what the page will show, and the demo."""
    layout.heading("Nothing has been computed yet")
    layout.sentence("After a run this page shows the perplexity before and after pruning, the sparsity that was reached, and "
                    "the error of every layer beside the best possible error for the same mask.")
    demo = RunSpec()
    st.button(f"Run the example: {wording.describe(demo)}", key="run_demo", on_click=submission.start_demo, args=(demo,))


def _origin(answer: Answer) -> str:
    environment = answer.result.environment
    if answer.origin == "gallery":
        return f"shipped with PruneScope: computed by this code on {numbers.moment(answer.ended)}, {environment.device}"
    return f"{'' if answer.fits else 'an earlier answer, '}finished {numbers.ago(answer.ended, time.time())}"


def _figures(result: RunResult) -> tuple[Figure, ...]:
    return (
        Figure(label="Perplexity, dense → pruned", hover=f"Measured on {result.pruned.protocol}",
               value=f"{numbers.perplexity(result.dense.perplexity)} → {numbers.perplexity(result.pruned.perplexity)}",
               note=f"{result.pruned.windows} × {result.pruned.length} tokens, {result.pruned.text.partition(':')[0]}, "
                    f"{result.pruned.dtype}"),
        *_removed(result),
        Figure(label="Time · memory", value=f"{numbers.seconds(result.seconds)} · {numbers.size(result.peak_memory_bytes)}",
               note=result.environment.device,
               hover="Wall time of the whole run, and its highest memory use"),
    )


def _removed(result: RunResult) -> tuple[Figure, ...]:
    """Figures of the zeros with the error they make, or of the parameters that are gone."""
    weights, shape = sum(layer.parameters for layer in result.layers), result.shape
    counted = Figure(label="Counted sparsity", value=numbers.percent(result.counted_sparsity),
                     note=f"of {numbers.count(weights)} weights in {numbers.plural(len(result.layers), 'layer')}",
                     hover="Zeros really there in the pruned layers; embeddings and head are left alone" if shape is None else
                     "Weights of the linear layers that are gone; nothing that is left is zero")
    if shape is not None:
        return (counted, Figure(label="Parameters left", value=numbers.count(shape.left),
                                note=f"of {numbers.count(shape.parameters)}; {numbers.count(shape.removed)} are gone",
                                hover=numbers.grouped(shape.words)))
    return (counted, Figure(label="Error over optimum, median", value=numbers.over_optimum(result.median_gap),
                            note=f"worst error: {wording.short_name(result.worst)}",
                            hover=f"Layer error divided by the least possible for the same mask, on {result.calibration}"))


def _details(result: RunResult, key: str) -> None:
    measured, layers, worth, repeat = st.tabs(["How it was measured", "Every layer", "Size and speed", "Repeat it, take it away"], key=key,
                                              on_change="rerun")
    if layers.open:  # what shows tables and code is large: only who wants it waits for it
        with layers:
            rows = dataframes.table(tables.layer_rows(result.layers), _FORMS)
            st.dataframe(rows, hide_index=True, column_config=_LAYER_FORMATS, column_order=tuple(_LAYER_FORMATS), height=360,
                         alt="The layers of this run with their errors")
    with measured:
        layout.facts(facts.measured(result))
    if worth.open:
        with worth:
            size_and_speed.draw(result)
    if repeat.open:
        repeat.code(f"{command_line(result.spec)} --save pruned", language=None, wrap_lines=True)
        with repeat:
            layout.aside("Writes the pruned model into the folder “pruned”. Without --save it only measures.")
            exported_model.draw(result)
        name = file_name([result])
        with repeat.container(horizontal=True):
            st.download_button("Report as HTML", partial(report, [result]), f"{name}.html", "text/html", on_click="ignore", key="report",
                               help="One file with charts, tables and the run itself; opens anywhere, without a network.")
            st.download_button("Result as JSON", partial(result.model_dump_json, indent=1), f"{name}.json", "application/json",
                               on_click="ignore", key="json")
            st.download_button("Layers as CSV", partial(tables.layers_csv, result), f"{name}.csv", "text/csv", on_click="ignore", key="csv")
