"""A report of a run, or of runs side by side: one HTML file that opens anywhere, without a server or a network.

Charts are Plotly's, its program embedded once (5 MB), drawn light or dark as the reader's system asks; every number is in tables too,
and the runs themselves are in the file as JSON. Nothing that a run says can become markup: it is escaped, and the file's own policy
lets no script run but the two that are in it by their hashes, and no request leave it.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from plotly.offline import get_plotlyjs

from app.report.cells import cells
from app.report.masks import overlap_charts, overlap_texts
from app.shared import comparison, numbers, tables
from app.shared.charts.block_scores import block_scores
from app.shared.charts.comparison import errors, perplexities
from app.shared.charts.layer_errors import layer_errors
from app.shared.comparison import Compared, compare
from app.shared.findings import facts, wording
from app.shared.findings.cautions import cautions
from app.shared.findings.comparison import verdict
from app.shared.link import command_line
from app.shared.markup import comparison_table
from app.shared.style import Theme, chart_config
from core.records import RunResult
from core.records.overlaps import Overlaps

_HERE = Path(__file__).parent
_MANY_LAYERS = 60  # longer tables are folded
_ALONE = {"layer": "layer", "outputs": "outputs", "inputs": "inputs", "counted_sparsity": "counted sparsity",
          "relative_error": "error", "optimum_error": "best possible", "over_optimum": "error ÷ best", "seconds": "time, s",
          "damping": "λ used", "dense_rows": "dense rows", "dense_columns": "dense columns"}


def report(results: Sequence[RunResult], *, masks: Sequence[Overlaps | str] = (), made: float | None = None) -> str:
    """The HTML of a report. Raises ValueError without a run. `masks`: for each run after the first its overlap with the first one's
    mask, or why it is not known. `made`: seconds since 1970, now if left out."""
    if not results:
        raise ValueError("a report needs a run")
    runs = compare(results)
    alone = results[0].spec if len(results) == 1 else None
    name = wording.describe(alone) if alone else comparison.title(runs)
    aside = wording.describe_rest(alone) if alone else comparison.what_differs(runs)
    said = cautions(runs) if not alone else list(filter(None, [wording.caution(results[0])]))
    layers = cells(_layer_rows(results[0] if alone else runs))
    programs = (_plotly(), (_HERE / "report.js").read_text(encoding="utf-8"))
    return _template().render(
        name=name, aside=aside, verdict=verdict(runs), cautions=said, comparison=comparison_table(runs),
        alike="" if alone else comparison.equal_settings(runs), overlaps=overlap_texts(runs, masks),
        facts=facts.measured(results[0]) if alone else facts.measured_together(runs), layers=layers,
        fold=numbers.plural(len(layers.rows), "layer") if len(layers.rows) > _MANY_LAYERS else "",
        commands=[command_line(result.spec) for result in results], made=numbers.moment(time.time() if made is None else made),
        style=(_HERE / "report.css").read_text(encoding="utf-8"), figures=_data(_figures(runs, masks)), runs=_data(runs_json(results)),
        programs=programs, hashes=[_hash(program) for program in programs])


def runs_json(results: Sequence[RunResult]) -> str:
    """The runs as a sweep writes them, so that what reads one reads the other."""
    return f'{{"runs": [{", ".join(result.model_dump_json() for result in results)}]}}'


def file_name(results: Sequence[RunResult]) -> str:
    """A name for a report's file, without its ending."""
    first = results[0].spec
    return f"prunescope-{first.model.replace('/', '-')}-{first.method.name}" if len(results) == 1 else "prunescope-comparison"


def _figures(runs: Sequence[Compared], masks: Sequence[Overlaps | str]) -> str:
    """JSON: for each chart its name, its menu, and the figure in both themes."""
    return json.dumps([{"name": name, "config": chart_config(name), **{theme: json.loads(str(figure.to_json()))
                        for theme, figure in themes.items()}} for name, themes in _charts(runs, masks).items()], allow_nan=False)


def _charts(runs: Sequence[Compared], masks: Sequence[Overlaps | str]) -> dict[str, dict[Theme, go.Figure]]:
    themes: tuple[Theme, ...] = ("light", "dark")
    if len(runs) == 1:
        result = runs[0].result
        if result.shape is not None and result.shape.scores:
            shape, method = result.shape, result.spec.method.name
            return {"block-scores": {theme: block_scores(shape, method, theme=theme) for theme in themes}}
        return {"layer-errors": {theme: layer_errors(result.layers, theme=theme, calibration=result.calibration) for theme in themes}}
    return {"perplexities": {theme: perplexities(runs, theme=theme) for theme in themes},
            "layer-errors": {theme: errors(runs, theme=theme, height=420) for theme in themes},
            **overlap_charts(runs, masks, themes)}


def _data(text: str) -> str:
    """JSON that cannot end the element it stands in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _layer_rows(what: RunResult | Sequence[Compared]) -> Sequence[Mapping[str, object]]:
    if isinstance(what, RunResult):
        return [{label: row[name] for name, label in _ALONE.items()} for row in tables.layer_rows(what.layers)]
    return tables.compared_layers(what)


@lru_cache(maxsize=1)
def _template() -> Template:
    return Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template(
        "report.html.j2")


@lru_cache(maxsize=1)
def _plotly() -> str:
    return get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")  # as a browser reads it: the hash is of that


def _hash(script: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
