"""Before a run: what it would come to, estimated while the controls move. And afterward: how near the estimate was."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.explore import layer_link, run_on_curves, run_plan
from app.shared import answers, estimates, layout, numbers, previews, resources, state, tables
from app.shared.answers import Shown
from app.shared.chart_downloads import take_away
from app.shared.charts.layer_errors import layer_errors
from app.shared.findings import wording
from app.shared.layout import Figure
from app.shared.plot import plot
from app.shared.style import chart_config
from core.records import Evaluated, RunResult
from core.records.previews import BASE, Preview
from core.spec import METHOD_LABELS, RunSpec

_CHART_HEIGHT = 380
_WAIT = 1.5  # seconds: most previews are there by then, and drawing the old one meanwhile would take its cores from the new one
_TITLE_FEW = "Estimate from {} rows: error of every layer, and the best possible for its mask"
_TITLE = "Preview: error of every layer, and the best possible for its mask"
_DIFFERENCE = ("Preview: every layer is solved from the dense model's Gram matrices, and perplexity is scaled up from the first windows of "
               "the text. A run collects them anew after pruning the blocks before each layer, and reads all windows.")
_FEW = ("Estimate: {method} and {base} both prune {rows} rows of each layer (fewer where α leaves fewer), and {base} all others too. The "
        "errors and the changes of the weights that {base} makes are scaled by how the two compare in those rows. ")
_SHARED = (" How the run will share out its zeros between layers is estimated too, from Wanda's errors and what they cost the model; the "
           "run measures both for its own settings.")
_ONE_THRESHOLD = " Only a run measures saliencies and sets one threshold for all layers; here every layer loses the same share."
_NOT_PROPAGATED = " Only a run compensates for errors of earlier blocks (error propagation); a preview does not."
_NOT_RECONSTRUCTED = " Only a run trains each block's kept weights afterward (block reconstruction); a preview does not."
_NOT_COUPLED = " Fisher weighting: here each output is on its own; the preview of all rows couples the outputs."


def look(spec: RunSpec) -> Shown:
    """The preview of a spec, or the one before it, or none yet."""
    return previews.best(spec, answers.ask(previews.first(spec), "preview", wait=_WAIT))


def draw_preview(spec: RunSpec, shown: Shown) -> None:
    """All that is known of a run that was not computed: its preview and its plan."""
    preview: Preview | None = shown.answer
    if preview is None:
        if shown.lost:
            layout.heading(wording.describe(spec), wording.describe_rest(spec), "not computed yet")
            answers.tell(shown, "")
            layout.aside("Run puts this into the queue: it is computed as soon as the workers are there.")
            return
        if shown.problem:
            answers.tell(shown, "")
        elif shown.waiting:
            layout.aside("A preview is being computed: all layers from the dense model's Gram matrices …")
        run_plan.draw_plan(spec)
        return
    if shown.problem:
        answers.tell(shown, "")
    if shown.fits:
        state.remember("preview-of-run", preview)
    _draw(preview, "preview" if shown.fits else "old-preview", _standing(preview, shown))
    run_plan.draw_layers(spec)


def _draw(preview: Preview, key: str, standing: str) -> None:
    """The whole preview."""
    with st.container(key=key, gap="small"):
        dense = resources.dense(preview.spec)
        _, estimate = estimates.perplexities(preview, dense)
        if key == "preview":
            state.remember("previewed", (preview.spec, estimate))
        layout.heading(wording.describe(preview.spec), wording.describe_rest(preview.spec), standing)
        layout.figures(_figures(preview, dense, estimate))
        layout.sentence(wording.preview_finding(preview))
        run_on_curves.draw_pair(partial(_draw_layers, preview), preview.spec, dense=dense or preview.dense,
                                sparsity=preview.counted_sparsity, perplexity=estimate, name="preview", height=_CHART_HEIGHT)
        layout.aside(_difference(preview))


def draw_known(spec: RunSpec) -> None:
    """The preview of a spec that is being run, if this tab has it: it keeps its place until the answer is there."""
    preview = state.recall("preview-of-run", None)
    if preview is not None and preview.spec == spec:
        _draw(preview, "preview", "preview; the run is going on")


def _draw_layers(preview: Preview) -> None:
    title = _TITLE if preview.rows is None else _TITLE_FEW.format(preview.rows)
    figure = layer_errors(preview.layers, theme=layout.theme(), title=title, calibration=preview.calibration, height=_CHART_HEIGHT)
    plot(figure, key="preview-errors", config=chart_config("preview-layer-errors"),
                    on_select=partial(layer_link.pressed, "preview-errors"), selection_mode="points",
                    alt=f"Preview of the error of {numbers.plural(len(preview.layers), 'layer')}. {wording.preview_finding(preview)}")
    take_away("preview-errors", partial(tables.layer_rows, preview.layers),
              (f"preview of {preview.spec.title}", preview.calibration, _difference(preview)))


def _standing(preview: Preview, shown: Shown) -> str:
    """Kind of this answer, and whether a better one is on its way."""
    if not shown.fits:
        return "the preview before; the new one is being computed …" if shown.waiting else "the preview before"
    if preview.rows is None:
        return "preview, not run yet"
    return previews.standing(preview.rows) + ("; the preview of all rows is being computed …" if shown.waiting else "")


def _difference(preview: Preview) -> str:
    names = {"method": METHOD_LABELS[preview.spec.method.name], "base": METHOD_LABELS[BASE.name]}
    parts = [(preview.rows is not None, _FEW.format(**names, rows=preview.rows)), (True, _DIFFERENCE),
             (preview.spec.allocation == "marginal", _SHARED), (preview.spec.allocation == "global", _ONE_THRESHOLD),
             (bool(preview.spec.propagation), _NOT_PROPAGATED),
             (bool(preview.spec.reconstruct), _NOT_RECONSTRUCTED),
             (preview.rows is not None and bool(preview.spec.fisher) and preview.spec.method.couples, _NOT_COUPLED)]
    return "".join(text for said, text in parts if said)


def compare(result: RunResult) -> str:
    """Draw this run beside its preview, if this tab saw one."""
    spec, estimate = state.recall("previewed", (None, 0.0))
    if spec != result.spec:
        return ""
    return f"Your run: {numbers.perplexity(result.pruned.perplexity)}; the preview said {estimates.shown(estimate)}."


def _figures(preview: Preview, dense: Evaluated | None, estimate: float) -> tuple[Figure, ...]:
    measured = preview.pruned
    before = numbers.perplexity(dense.perplexity) if dense else estimates.shown(preview.dense.perplexity)
    planning = resources.jobs().plan(preview.spec)
    duration = f"about {numbers.seconds(planning.plan.seconds)}" if planning.plan else "…"
    scaled = (f"{numbers.perplexity(preview.dense.perplexity)} → {numbers.perplexity(measured.perplexity)} on {measured.protocol}"
              + (f"; scaled to the dense model's {numbers.perplexity(dense.perplexity)} on {dense.protocol}" if dense else ""))
    return (
        Figure(label="Perplexity, dense → preview", hover=scaled, note=estimates.origin(measured, scaled=dense is not None),
               value=f"{before} → {estimates.shown(estimate)}"),
        Figure(label="Counted sparsity", value=numbers.percent(preview.counted_sparsity),
               note=f"of {numbers.count(sum(layer.parameters for layer in preview.layers))} weights in "
                    f"{numbers.plural(len(preview.layers), 'layer')}",
               hover="Zeros really there in the pruned layers; embeddings and head are left alone"),
        Figure(label="Error over optimum, median", value=numbers.over_optimum(preview.median_gap),
               note=f"worst error: {wording.short_name(preview.worst)}",
               hover=f"Layer error divided by the least possible for the same mask, on {preview.calibration}"),
        Figure(label="A full run", value=duration,
               note=f"this {'preview' if preview.rows is None else 'estimate'} took {numbers.seconds(preview.seconds)}",
               hover="Estimated from the multiply-adds counted and the matrix rate measured on this machine"),
    )
