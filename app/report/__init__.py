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
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from app.report.cells import table
from app.report.masks import overlap_charts, overlap_section
from app.shared import comparison, numbers, tables
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
    body = "".join((
        f"<header><h1>{escape(name)}</h1><p class='quiet'>{escape(aside)}</p></header>",
        f"<p class='finding'>{escape(verdict(runs))}</p>", _cautions(said),
        f"<div class='wide'>{comparison_table(runs)}</div>",
        f"<p class='quiet'>Alike: {escape(comparison.equal_settings(runs))}.</p>" if not alone else "",
        "<div id='charts'></div><noscript><p class='quiet'>The charts need scripts; all their numbers are in the tables.</p></noscript>",
        overlap_section(runs, masks),
        "<h2>How it was measured</h2>", _facts(facts.measured(results[0]) if alone else facts.measured_together(runs)),
        "<h2>Every layer</h2>", _layers(results[0] if alone else runs), "<h2>Repeat it</h2>",
        *(f"<pre>{escape(command_line(result.spec))}</pre>" for result in results),
        "<p><button id='save' type='button' hidden>Save the runs as JSON</button></p>",
        f"<footer class='quiet'>PruneScope, {escape(numbers.moment(time.time() if made is None else made))}</footer>"))
    program, own = _plotly(), (_HERE / "report.js").read_text(encoding="utf-8")
    policy = (f"default-src 'none'; script-src '{_hash(program)}' '{_hash(own)}'; style-src 'unsafe-inline'; img-src data: blob:; "
              "base-uri 'none'; form-action 'none'")
    return "".join((
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "<meta name='viewport' content='width=device-width, initial-scale=1'><meta name='color-scheme' content='light dark'>",
        f"<title>{escape(name)} – PruneScope</title><style>{(_HERE / 'report.css').read_text(encoding='utf-8')}</style></head>",
        f"<body><main>{body}</main>",
        f"<script type='application/json' id='figures'>{_data(_figures(runs, masks))}</script>",
        f"<script type='application/json' id='runs'>{_data(runs_json(results))}</script>",
        f"<script>{program}</script><script>{own}</script></body></html>\n"))


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
        return {"layer-errors": {theme: layer_errors(result.layers, theme=theme, calibration=result.calibration) for theme in themes}}
    return {"perplexities": {theme: perplexities(runs, theme=theme) for theme in themes},
            "layer-errors": {theme: errors(runs, theme=theme, height=420) for theme in themes},
            **overlap_charts(runs, masks, themes)}


def _data(text: str) -> str:
    """JSON that cannot end the element it stands in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _cautions(texts: Sequence[str]) -> str:
    return "".join(f"<p class='caution'>{escape(text)}</p>" for text in texts)


def _facts(items: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in items) + "</dl>"


def _layers(what: RunResult | Sequence[Compared]) -> str:
    if isinstance(what, RunResult):
        rows: list[dict[str, object]] = [{label: row[name] for name, label in _ALONE.items()} for row in tables.layer_rows(what.layers)]
    else:
        rows = tables.compared_layers(what)
    shown = table(rows)
    return shown if len(rows) <= _MANY_LAYERS else f"<details><summary>{numbers.plural(len(rows), 'layer')}</summary>{shown}</details>"


@lru_cache(maxsize=1)
def _plotly() -> str:
    return get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")  # as a browser reads it: the hash is of that


def _hash(script: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
