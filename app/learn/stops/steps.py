"""Stop 3: many weights, three ways, step by step; and one mask with every block size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from app.learn import controls, frame, query, requests
from app.learn.charts.matrix import GONE_WORDS
from app.learn.charts.steps import block_curve, block_panel, loss_curves, places, step_panels
from app.learn.findings import steps as findings
from app.learn.query import PRE, Lesson
from app.shared import layout, state
from app.shared.chart_downloads import take_away
from core.records.lessons import STEPPED, Stepped, label

_PACE = 0.8  # seconds a step while it plays
_VIEWS = {"steps": "Step by step", "blocks": "From B = 1 to B = b"}
_STEPS = r"""
Which weights go, and what the others do about it, in three ways. All three are the program's own methods, recorded.

**SparseGPT** goes from left to right. In a block of $B$ columns it takes the weights of least $w^2/U_{jj}^2$, with
$H^{-1} = U^\top U$; the error of each removal is compensated by the columns to its right. Columns to its left do not move.

**Thanos** looks at all columns that remain, takes those of least $|w|\sqrt{G_{jj}}$, and removes a row's share in the block together, with
$S$ those columns:

$$\Delta = -w_S\big([H_{j:}^{-1}]_{SS}\big)^{-1}[H_{j:}^{-1}]_{S:}$$

Within the block nothing is frozen too early; left of it, everything is. $H_{j:}$ is $H$ without the rows and columns of what is frozen,
and $H_{j:}^{-1}$ its inverse.

**OBC** takes one weight at a time, the cheapest of all, and moves all that are left of its row. It is exact for its mask at every step,
at a price for large layers: $O(c\,b^3)$.
"""
_BLOCKS = r"""
One mask, the one SparseGPT chooses when it sees all columns, and one update with a block size $B$. The update removes a row's weights in
a block together, and may move only what lies in the block or right of it.

$B = 1$: each weight alone, from left to right. That is **SparseGPT's update**.

$B = b$: all at once, nothing frozen. That is the **optimum** for the mask,

$$\Delta = -w_S\big([H^{-1}]_{SS}\big)^{-1}[H^{-1}]_{S:}$$

For the $B$ between it is **Thanos's update**. A larger $B$ sees more removals at a time; a row's system grows with it, and so does its
price, about $|S|^3/6$ multiplications.
"""
_SWEEP = r"""
OBS removes weight $q$ at the loss $w_q^2/[H^{-1}]_{qq}$ and moves the others by $-\frac{w_q}{[H^{-1}]_{qq}}\,[H^{-1}]_{q:}$ (stop 1). In a
sweep, columns left of $j$ can no longer move: the same holds for the columns that are left, with $H_{j:}^{-1}$ in place of $H^{-1}$.

No inverse has to be made anew. From $H^{-1} = U^\top U$ with $U$ upper triangular follows $H = U^{-1}U^{-\top}$, and as $U^{-1}$ is upper
triangular too,

$$H_{j:} = U_{j:}^{-1}\,U_{j:}^{-\top}\quad\text{and so}\quad H_{j:}^{-1} = U_{j:}^\top U_{j:},$$

with $U_{j:}$ the rows and columns of $U$ from $j$ on. Its leading entry is $U_{jj}^2$ and its first row $U_{jj}\,U_{j,j:}$: the loss is
$w_j^2/U_{jj}^2$, the update $-\frac{w_j}{U_{jj}}\,U_{j,j:}$. One factorization holds the inverses of all that is left, at every $j$.
"""
_LAGRANGE = r"""
Least squares with the removed weights held at zero: find the change $\Delta$ of a row that minimizes $\tfrac12\Delta H\Delta^\top$
subject to $\Delta_S = -w_S$. With a multiplier for each removed weight,

$$\tfrac12\Delta H\Delta^\top + \mu\,(\Delta_S + w_S)^\top\quad\Rightarrow\quad \Delta = -\mu\,[H^{-1}]_{S:}$$

$$\Delta_S = -w_S\quad\Rightarrow\quad \mu = w_S\big([H^{-1}]_{SS}\big)^{-1}.$$

$H$ is positive definite, so this is the only minimum: nothing that keeps the mask loses less. For one weight it is the formula of OBS. With
$B < b$ it is solved block after block, each time over the columns that are left alone; that is where loss is left on the table.
"""


def draw(lesson: Lesson) -> None:
    """Draw stop 3."""
    found: Stepped | None = frame.ask(requests.steps(lesson), "steps")
    text = partial(_text, lesson, found)
    with frame.beside(lesson, text):
        _controls(lesson)
        if found is None:
            return
        if lesson.view == "blocks":
            _draw_blocks(lesson, found)
        else:
            _draw_steps(lesson, found)


def _controls(lesson: Lesson) -> None:
    view, sparsity, block = st.columns([0.44, 0.28, 0.28], gap="medium", vertical_alignment="bottom")
    with view:
        st.segmented_control("View", list(_VIEWS), key=f"{PRE}view", format_func=_VIEWS.__getitem__, required=True, persist_state="session",
                             label_visibility="collapsed")
    with sparsity:
        st.slider("Sparsity p", 0.05, 0.95, key=f"{PRE}sparsity", step=0.05, format="percent", persist_state="session")
    with block:
        st.slider("Block size B", 1, lesson.columns, key=f"{PRE}block", persist_state="session")


def _draw_steps(lesson: Lesson, found: Stepped) -> None:
    last = next(one.last for one in found.recordings if one.method == lesson.focus)
    _buttons(min(lesson.step, last), last)
    at = places(found, lesson.focus, lesson.step)
    finding = findings.steps_finding(found, at)
    layout.sentence(finding)
    left, right = st.columns([0.62, 0.38], gap="small")
    with left:
        frame.chart(step_panels(found, at, theme=layout.theme(), height=430), "steps", lesson, finding)
    with right:
        frame.chart(loss_curves(found, at, theme=layout.theme(), height=430), "losses", lesson, finding)
    take_away("learn-steps", partial(_step_rows, found), (controls.describe(lesson), f"p = {lesson.sparsity:g}, B = {lesson.block}"))


def _buttons(step: int, last: int) -> None:
    """Back, step, play, and whose steps are counted."""
    playing = state.recall("playing", False)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="learn-buttons"):
        st.button("Back", key="learn_back", on_click=_move, args=(-1, last), disabled=step == 0)
        st.button("Step", key="learn_step_on", on_click=_move, args=(1, last), disabled=step == last, type="primary")
        st.button("Stop" if playing else "Play", key="learn_play", on_click=_play, args=(not playing, last))
        st.html(f"<span class='ps-quiet'>step {step} of {last} of</span>", width="content")
        st.segmented_control("Whose steps", list(STEPPED), key=f"{PRE}focus", format_func=label, required=True, persist_state="session",
                             label_visibility="collapsed", width="content", on_change=_go, args=(1,))
    if playing and step < last:
        st.fragment(_tick, run_every=_PACE / 4)(last)
    elif playing:
        state.remember("playing", False)
        st.rerun()


def _tick(last: int) -> None:
    """The next step, when it is time."""
    if time.monotonic() - state.recall("stepped", 0.0) >= _PACE:
        _go(min(_now(last) + 1, last), playing=True)
        st.rerun()


def _now(last: int) -> int:
    """The step of this moment. A button that was drawn a moment ago may be pressed after another: only this is sure to be up to date."""
    return min(state.widget(f"{PRE}step") or 0, last)


def _move(by: int, last: int) -> None:
    _go(max(0, min(_now(last) + by, last)))


def _play(on: bool, last: int) -> None:
    now = _now(last)
    _go(0 if on and now == last else now, playing=on)


def _go(step: int, *, playing: bool = False) -> None:
    query.change(step=step)
    state.remember("playing", playing)
    state.remember("stepped", time.monotonic())


def _draw_blocks(lesson: Lesson, found: Stepped) -> None:
    finding = findings.blocks_finding(found, lesson.block)
    layout.sentence(finding)
    frame.chart(block_panel(found, lesson.block, theme=layout.theme()), "block", lesson, finding)
    frame.chart(block_curve(found, lesson.block, theme=layout.theme()), "curve", lesson, finding, pressed=_pick_block)
    take_away("learn-blocks", partial(_block_rows, found), (controls.describe(lesson), f"SparseGPT's mask at p = {lesson.sparsity:g}"))


def _pick_block(size: Sequence[Any]) -> None:
    query.change(block=size[0])


def _text(lesson: Lesson, found: Stepped | None) -> None:
    blocks = lesson.view == "blocks"
    st.markdown(_BLOCKS if blocks else _STEPS)
    with st.expander("Why is $B = b$ the optimum of its mask?" if blocks else "Why does a sweep divide by $U_{jj}^2$?", key="learn-why"):
        st.markdown(_LAGRANGE if blocks else _SWEEP)
    if lesson.view == "steps":
        layout.aside(f"{GONE_WORDS[layout.theme()].capitalize()}: removed; × in this step. "
                     "Red and blue: how far a kept weight has moved. Hatched: can no longer move.")
    if found is not None:
        frame.exercises(findings.exercises(found, lesson.view, lesson.block))


def _step_rows(found: Stepped) -> list[dict[str, object]]:
    return [{"method": one.method, "step": at, "removed": int(one.pruned[at].sum()), "loss": float(one.measured[at]),
             "optimum_for_the_mask": float(one.optimum[at])} for one in found.recordings for at in range(one.last + 1)]


def _block_rows(found: Stepped) -> list[dict[str, object]]:
    return [{"block_size": size, "loss": float(loss), "optimum": found.optimum} for size, loss in enumerate(found.block_loss, 1)]
