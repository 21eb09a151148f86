"""Below the chart: how it was measured, every point, and the commands that compute the same."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.curves import guided
from app.curves.controls import Form
from app.shared import dataframes, layout, numbers
from app.shared.charts.accuracy import ScoredPoint
from app.shared.charts.series import BROKEN
from app.shared.findings.published import contradictions
from app.shared.scored_runs import curve_points, draw_points
from app.shared.sweeps.points import Point
from app.shared.sweeps.published import Published, paper_name, read
from app.shared.sweeps.tables import point_rows
from core.spec import parse_pattern

_FORMATS = {
    "method": st.column_config.TextColumn("method", pinned=True), "pattern": "pattern", "block_size": "B",
    "alpha": st.column_config.NumberColumn("α"), "alpha_budget": "α budget", "seed": "seed",
    "counted_sparsity": st.column_config.NumberColumn("counted sparsity"),
    "perplexity": st.column_config.NumberColumn("perplexity"),
    "parameters_gone": st.column_config.NumberColumn("parameters gone", help="really: zeros are still there"),
    "folder_bytes": st.column_config.NumberColumn("folder"),
    "prefill_over_dense": st.column_config.NumberColumn("prefill", help="tokens a second over the dense model's"),
    "decode_over_dense": st.column_config.NumberColumn("decode", help="tokens a second over the dense model's"),
    "median_error": st.column_config.NumberColumn("layer error", help="median relative error of the layers"),
    "median_over_optimum": st.column_config.NumberColumn("error ÷ best"),
    "solve_seconds": st.column_config.NumberColumn("solve", help="the method alone, all layers"),
    "seconds": st.column_config.NumberColumn("run", help="the whole run"),
    "peak_memory_bytes": st.column_config.NumberColumn("peak memory"), "machine": "computed on", "run": "run",
}


def _whole(value: float) -> str:
    return numbers.count(round(value))


_FORMS = {"alpha": numbers.setting, "counted_sparsity": numbers.fine_percent, "perplexity": numbers.perplexity,
          "parameters_gone": _whole, "folder_bytes": numbers.size, "prefill_over_dense": numbers.times, "decode_over_dense": numbers.times,
          "median_error": numbers.error, "median_over_optimum": numbers.times, "solve_seconds": numbers.seconds,
          "seconds": numbers.seconds, "peak_memory_bytes": numbers.size}


def draw(form: Form, points: Sequence[Point], papers: Sequence[Published], *, charts: bool) -> None:
    """The tabs below the chart. Without `charts` the place of one is left, as at a first paint."""
    more = {"sparsity": "Zero-shot accuracy", "shapes": "Blocks per input"}.get(form.asked.tab)
    titles = ["How it was measured", "Every point", "Repeat it", *([more] if more else [])]
    measured, every, repeat, *last = st.tabs(titles, key=f"curves-{form.asked.tab}-details", on_change="rerun",
                                                 default=titles[-1] if _has_accuracy(form) else titles[0])
    if measured.open:
        with measured:
            layout.facts(_facts(form, points, papers))
    if every.open:
        rows = dataframes.table(point_rows(points), _FORMS)
        every.dataframe(rows, hide_index=True, column_config=_FORMATS, column_order=tuple(_FORMATS), height=300, placeholder="",
                        alt="Every point of the chart with its numbers")
    if repeat.open:
        repeat.caption("The runs chosen on the left, computed from a terminal:")
        repeat.code("\n".join(form.sweep.commands()), language=None, wrap_lines=True)
    if last and last[0].open:
        with last[0]:
            if form.asked.tab == "shapes":
                guided.draw(form.asked.guided, form.asked.base, charts=charts)
            else:
                draw_points(_scored(form), "acc", "Shown are the scored runs with the settings on the left.", charts=charts)


def _has_accuracy(form: Form) -> bool:
    """True where the curves have their runs' accuracy beside them: it is shown without being asked for."""
    kinds = {parse_pattern(word).kind for word in form.asked.lists["patterns"]}
    return form.asked.tab == "sparsity" and kinds == {"unstructured"} and bool(_scored(form))


def _scored(form: Form) -> list[ScoredPoint]:
    base, methods = form.asked.base, form.asked.lists["methods"]
    return [point for point in curve_points(base.model, like=base) if point.spec.method.name in methods]


def _facts(form: Form, points: Sequence[Point], papers: Sequence[Published]) -> list[tuple[str, str]]:
    point = points[0]
    shipped = sum(not point.key for point in points)
    seeds = sorted({point.spec.calibration.seed for point in points})
    texts = point.calibration if len(seeds) == 1 else f"{point.calibration.rpartition(', ')[0]}, seeds {', '.join(map(str, seeds))}"
    facts = [
        ("Perplexity", f"{point.pruned.protocol}; exp of the mean loss. From {numbers.setting(BROKEN)} times the dense perplexity on, a "
         "mark stands on the upper edge with its number"),
        ("Calibration", texts),
        ("Lines and bands", "medians over the seeds; bands from the least to the greatest, where there are several seeds"),
        ("Points", f"{len(points)}, {shipped} of them shipped with PruneScope; computed on "
         + " and on ".join(dict.fromkeys(point.machine for point in points))),
        ("Published numbers", _paper_words(form, papers)),
    ]
    doubts = dict.fromkeys([*(number.doubt for number in papers if number.doubt), *contradictions(papers)])
    return [*facts, *(("Doubt", text) for text in doubts)]


def _paper_words(form: Form, papers: Sequence[Published]) -> str:
    model = form.asked.base.model
    name = paper_name(model)
    if papers:
        return "hollow marks: " + " ".join(_one_paper(key, papers[0].model) for key in dict.fromkeys(number.paper for number in papers))
    if name is None:
        return f"none: no paper has numbers for {model}."
    known = {number.paper for number in read().numbers if number.model == name}
    protocols = "; or ".join(dict.fromkeys(read().papers[key].protocol.words for key in sorted(known)))
    return f"none shown: the papers' numbers for {name} are of {protocols}; or of another view."


def _one_paper(key: str, model: str) -> str:
    paper = read().papers[key]
    anchor = f" Its dense model: {numbers.perplexity(paper.dense[model])}." if model in paper.dense else ""
    return f"{paper.source}, {model}, {paper.protocol.words}.{anchor}"
