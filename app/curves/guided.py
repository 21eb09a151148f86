"""Blocks chosen per input: the controls, the evaluation that a person asks for, and its outcome."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from app.curves.guided_query import GUIDED_WORDS, Guided
from app.curves.offered import PRE
from app.shared import fields, layout, numbers, request_progress, resources, state
from app.shared.chart_downloads import take_away
from app.shared.charts.guided import guided_curves
from app.shared.findings.guided import guided_csv, guided_finding, guided_heads, guided_protocol, guided_rows
from app.shared.markup import table
from app.shared.plot import plot
from app.shared.style import chart_config
from core.records.guided import InputGuided
from core.spec import METHOD_LABELS, RunSpec
from core.spec.errors import PruneError
from core.spec.flags import flags, to_words

_HEIGHT = 380
_PROMISE = ("Does choosing the blocks per input pay? Calibration windows are grouped by what they read, and each group skips the blocks "
            "that cost it least; here its perplexity will stand beside that of the same number of blocks gone for every text.")
_FIELDS = tuple(replace(field, word=f"{PRE}{field.word}") for field in fields.fields_of(Guided, GUIDED_WORDS))


def fill(asked: Guided) -> None:
    """Set the controls, before they are drawn."""
    for field in _FIELDS:
        state.set_widget(field.word, getattr(asked, field.word.removeprefix(PRE)))


def words() -> dict[str, str]:
    """Words that the controls say."""
    found = {field.word.removeprefix(PRE): state.widget(field.word) for field in _FIELDS}
    return {word: str(value) for word, value in found.items() if value is not None}


def draw(asked: Guided, base: RunSpec, *, charts: bool) -> None:
    """The controls, then the evaluation of these settings, or the button that asks for it. Without `charts` their place is left."""
    _draw_controls()
    jobs, kept = resources.jobs(), resources.store().guided
    try:
        spec = asked.spec(base)
        key = jobs.key(spec)
    except (PruneError, ValueError) as error:
        layout.note(str(error), tone="bad", title="This cannot be evaluated.")
        return
    request, found = kept.requests.read(key), kept.of_run(key, asked.guide)
    refused = state.recall("guiding-refused", ("", ""))
    if refused[0] == key:
        layout.note(refused[1], tone="bad", title="Not started.")
    mine = request if request is not None and (request.active or request.guide == asked.guide) else None
    request_progress.draw(jobs.guiding, mine, failed="This could not be evaluated.", cancelled="Canceled. Nothing was kept of it.",
                          place="guiding")
    if found is not None:
        _draw_found(found, charts=charts)
    else:
        layout.sentence(_PROMISE)
    if found is None and (mine is None or not mine.active):
        st.button("Evaluate", key="guide", on_click=_ask, args=(spec, asked, key), help="On the worker that computes runs, after what is "
                  f"queued there: the calibration text is scored twice, and the evaluation text read up to {2 * asked.most + 1} times.")
    st.code(_command(spec, asked), language=None, wrap_lines=True)


def _draw_controls() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for field in _FIELDS:
            with st.container(width=190):
                if field.kind == "choice":
                    st.selectbox(field.title, field.choices, key=field.word, format_func=lambda name: METHOD_LABELS[name],
                                 persist_state="session", filter_mode=None)
                else:
                    fields.draw(field)


def _draw_found(found: InputGuided, *, charts: bool) -> None:
    finding = guided_finding(found)
    layout.sentence(finding)
    if charts:
        plot(guided_curves(found, theme=layout.theme(), height=_HEIGHT), key="guided-chart", config=chart_config("input-guided"),
             alt=f"Perplexity against blocks run per token. {finding}")
        take_away("input-guided", partial(guided_csv, found), (f"evaluation: {found.dense.protocol}", guided_protocol(found)))
    else:
        st.container(height=_HEIGHT, border=False)
    st.html(f"<div class='ps-wide'>{table(guided_heads(found), guided_rows(found))}</div>")
    layout.aside(f"{found.dense.protocol}; dense {numbers.perplexity(found.dense.perplexity)}. {guided_protocol(found)}")


def _ask(spec: RunSpec, asked: Guided, key: str) -> None:
    try:
        resources.jobs().guiding.submit(spec, asked.guide)
        state.forget("guiding-refused")
    except PruneError as error:
        state.remember("guiding-refused", (key, str(error)))


def _command(spec: RunSpec, asked: Guided) -> str:
    named = {"model": spec.model, "method": spec.method.name, "pattern": spec.pattern.word} | to_words(spec)
    own = ["--clusters", str(asked.clusters), *(["--decide-on", str(asked.decide_on)] if asked.decide_on else [])]
    return " ".join(["python", "-m", "core", "input-guided", *flags(named), *own])
