"""Masks of finished runs against each other, layer by layer: asked of the interactive worker, which reads the weights that were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from app.figures import tables
from app.figures.comparison import Compared
from app.figures.overlap_chart import overlap_chart, overlap_finding, overlap_rows
from app.figures.style import chart_config
from app.questions.overlaps import Overlaps, OverlapsQuestion
from app.ui import asking, layout, resources
from app.ui.compared import SHIPPED, Choice
from app.ui.takeaway import take_away
from cache.keys import run_key


def draw_overlaps(choice: Choice, runs: Sequence[Compared]) -> None:
    """Which weights went in one run and not in the other. Runs whose weights are not kept are named."""
    keys = _kept(choice)
    lacking = [run.label for run, chosen in zip(runs, choice.runs, strict=True) if chosen.word not in keys]
    if lacking:
        layout.aside(f"No pruned weights are kept of {', '.join(lacking)}: shipped runs come without them, and so does a run that was "
                     "made by another program. Run the same on the Explore page to see its mask here.")
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
    shown = asking.ask(OverlapsQuestion(spec=a.result.spec, a=key_a, b=key_b), f"overlaps {first} {second}")
    asking.tell(shown, "Reading the pruned weights of both runs")
    if isinstance(shown.answer, Overlaps) and shown.fits:
        _draw(a, b, shown.answer)


def _draw(a: Compared, b: Compared, found: Overlaps) -> None:
    layout.sentence(overlap_finding(a, b, found))
    st.plotly_chart(overlap_chart(a, b, found, theme=layout.theme()), theme=None, key="overlaps", config=chart_config("mask-overlaps"),
                    alt=overlap_finding(a, b, found))
    rows = partial(overlap_rows, a, b, found.layers)
    take_away("mask-overlaps", rows, (f"A: {a.label}; B: {b.label}; shares of each layer's weights", *tables.compared_protocol((a, b))))
    st.dataframe(rows(), hide_index=True, column_config=_formats(rows()[0]), height=300, alt="Masks of both runs, layer by layer")


def _formats(row: Mapping[str, object]) -> dict[str, ColumnConfig]:
    shares = {name: st.column_config.NumberColumn(name, format="percent") for name in row if name not in ("layer", "jaccard", "by chance")}
    return {"layer": st.column_config.TextColumn("layer", pinned=True),
            "jaccard": st.column_config.NumberColumn("Jaccard", format="%.3f", help="removed by both over removed by either"),
            "by chance": st.column_config.NumberColumn("by chance", format="%.3f"), **shares}


def _kept(choice: Choice) -> dict[str, str]:
    """The keys of the runs whose pruned weights are in the store, by word. A shipped run that was computed here too has them."""
    store = resources.store()
    keys = {run.word: run_key(run.result.spec, run.result.revisions) if run.word.startswith(SHIPPED) else run.word for run in choice.runs}
    blocks = {run.word: len({layer.block for layer in run.result.layers}) for run in choice.runs}
    return {word: key for word, key in keys.items() if store.journal(key).blocks >= blocks[word] > 0}
