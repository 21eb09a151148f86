"""The start of the Learn page: what there is, in which order, and what the words mean."""

from __future__ import annotations

import streamlit as st

from app.learn import query
from app.learn.query import STOPS, TEACHER, Lesson

_TOUR = {1: "What does it cost to remove one weight, when the other weights may compensate for it?",
         2: "Do the costs of two weights add up? Guess first.",
         3: "SparseGPT, Thanos and OBC on the same matrix, one step at a time; and the way from B = 1 to B = b.",
         4: "All masks of a short row, tried: how much is due to the mask, and how much to the update?",
         5: "Three formulas for removing whole columns. Two of them are slips that are easy to make.",
         6: "Error against iterations and time: ADMM, Adam, SGD and conjugate gradients on a real layer.",
         7: "One strong row in a small matrix, then a real layer, then perplexity: what keeping the strongest rows does.",
         9: "Zeros, columns, neurons, heads and blocks of the demo model on one chart: what each costs, and what it is worth."}
_AIM = """
A layer of a language model is a matrix $W$; its inputs are the columns of $X$. Removing weights changes the output $WX$. **Which weights
should go, and what should the others do about it?** The second question is one of least squares; the first is a search, and methods differ
in how they search.

Each stop is one screen with a figure that you can press. The figures are the program's own methods, run on a matrix small enough to see.
The tour takes about ten minutes.
"""
_WORDS = r"""
| symbol | meaning |
|---|---|
| $W$ | a layer's weights, $c\times b$: $c$ rows out, $b$ columns in |
| $G$ | $XX^\top$, the Gram matrix of the layer's inputs over all calibration tokens: all that pruning needs to know of the text |
| $H$, $\lambda$ | $G + \lambda\,\overline{\operatorname{diag} G}\,I$: damped, so that it has an inverse; $2G$ is the Hessian of the error |
| $M$ | the mask: where weights are removed; in a row, columns $S$ are removed and columns $K$ kept |
| $p$ | sparsity, the share of zeros asked for; *counted* sparsity is what is there |
| $n{:}m$ | $n$ zeros in every $m$ consecutive inputs of a row |
| $f(\hat W)$ | the layer error, $\operatorname{tr}\,(\hat W-W)\,G\,(\hat W-W)^\top$ |
| $f^*(M)$ | the least error for a mask, its optimum; the *gap* is $f(\hat W)/f^*(M)-1$ |
| $B$ | columns pruned at a time |
| $h_i$, $\alpha$ | a row's energy, $W_i G W_i^\top$; the share of rows that stays dense, those of greatest $h_i$ |
| $v_j$ | a column's loss if nothing moves and inputs were uncorrelated, $\sum_i W_{ij}^2\,G_{jj}$ over the pruned rows |
"""


def draw(lesson: Lesson) -> None:
    """The tour."""
    left, right = st.columns([0.52, 0.48], gap="large")
    with left:
        st.markdown(_AIM)
        for stop, question in _TOUR.items():
            with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"learn-tour-{stop}"):
                st.button(STOPS[stop], key=f"learn_to_{stop}", type="primary" if stop == 1 else "secondary", on_click=_go, args=(stop,),
                          width=170)
                st.markdown(question, width="stretch")
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"learn-tour-{TEACHER}"):
            st.button("Teachers", key=f"learn_to_{TEACHER}", type="tertiary", on_click=_go, args=(TEACHER,), width=170)
            st.markdown("Each figure for the projector, what reproduces it, and all exercises with their answers.", width="stretch")
    with right:
        st.markdown(_WORDS)


def _go(stop: int) -> None:
    query.change(stop=stop)
