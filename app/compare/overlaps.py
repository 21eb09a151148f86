"""Masks of finished runs against each other, layer by layer: asked of the interactive worker, which reads the weights that were kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from app.compare.query import SHIPPED, Choice, Chosen
from app.report import report
from app.report.masks import overlap_questions
from app.shared import answers, dataframes, layout, numbers, resources, tables
from app.shared.chart_downloads import take_away
from app.shared.charts.overlaps import overlap_chart
from app.shared.comparison import Compared
from app.shared.downloads import NoAnswer, fetch
from app.shared.findings import wording
from app.shared.findings.overlaps import overlap_finding, overlap_rows
from app.shared.plot import plot
from app.shared.questions.overlaps import NOT_KEPT, OverlapsQuestion, kept_key
from app.shared.style import chart_config
from app.workers.answers import Answers
from core.records import RunResult
from core.records.overlaps import Overlaps

_INDICES = {"Jaccard index": "removed by both over removed by either", "by chance": "the same of masks that know nothing of each other"}


def draw_overlaps(choice: Choice, runs: Sequence[Compared]) -> None:
    """Draw the overlap of masks, run against run. Runs whose weights are not kept are named."""
    keys = _kept(choice)
    lacking = [run.label for run, chosen in zip(runs, choice.runs, strict=True) if chosen.word not in keys]
    if lacking:
        layout.aside(NOT_KEPT.format(wording.listed(lacking)))
    there = {run.label: (run, keys[chosen.word]) for run, chosen in zip(runs, choice.runs, strict=True) if chosen.word in keys}
    if len(there) < 2:
        return
    names = list(there)
    first, second = names[0], names[1]
    if len(names) > 2:
        with st.container(horizontal=True, width=560):
            first = st.selectbox("Masks of", names, key="overlap-a", filter_mode=None)
            others = [name for name in names if name != first]
            second = st.selectbox("and", others, key="overlap-b", filter_mode=None)
    (a, key_a), (b, key_b) = there[first], there[second]
    shown = answers.ask(OverlapsQuestion(spec=a.result.spec, a=key_a, b=key_b), f"overlaps {first} {second}")
    answers.tell(shown, "Reading the pruned weights of both runs")
    if isinstance(shown.answer, Overlaps) and shown.fits:
        _draw(a, b, shown.answer)


def report_of(choice: Choice) -> Callable[[], str]:
    """The report of these runs, masks included, to be called when a person asks for it, in a thread without Streamlit."""
    results = [run.result for run in choice.runs]
    questions = overlap_questions(resources.store(), results, [_key(run) for run in choice.runs])
    return partial(_report, resources.jobs().answers, results, questions)


def _report(answers: Answers, results: Sequence[RunResult], questions: Sequence[OverlapsQuestion | str]) -> str:
    return report(results, masks=tuple(_one_by_one(answers, questions)))


def _draw(a: Compared, b: Compared, found: Overlaps) -> None:
    layout.sentence(overlap_finding(a, b, found))
    plot(overlap_chart(a, b, found, theme=layout.theme()), key="overlaps", config=chart_config("mask-overlaps"),
                    alt=overlap_finding(a, b, found))
    rows = partial(overlap_rows, a, b, found)
    take_away("mask-overlaps", rows, (f"A: {a.label}; B: {b.label}; shares of each layer's weights", *tables.compared_protocol((a, b))))
    listed = rows()
    forms = {name: numbers.index if name in _INDICES else numbers.fine_percent for name in listed[0] if name != "layer"}
    st.dataframe(dataframes.table(listed, forms), hide_index=True, column_config=_formats(), height=300,
                 alt="Masks of both runs, layer by layer")


def _formats() -> dict[str, ColumnConfig]:
    return {"layer": st.column_config.TextColumn("layer", pinned=True),
            **{name: st.column_config.NumberColumn(name, help=why) for name, why in _INDICES.items()}}


def _kept(choice: Choice) -> dict[str, str]:
    """The keys of the runs whose pruned weights are in the store, by word. A shipped run that was computed here too has them."""
    found = {run.word: kept_key(resources.store(), run.result, _key(run)) for run in choice.runs}
    return {word: key for word, key in found.items() if key is not None}


def _key(run: Chosen) -> str | None:
    return None if run.word.startswith(SHIPPED) else run.word


def _one_by_one(answers: Answers, questions: Sequence[OverlapsQuestion | str]) -> Iterator[Overlaps | str]:
    for question in questions:
        try:
            found = question if isinstance(question, str) else fetch(answers, question, "report")
        except NoAnswer as error:
            found = f"The masks cannot be compared. {error}"
        assert isinstance(found, Overlaps | str)
        yield found
