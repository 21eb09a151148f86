"""Lists of values that the Curves page offers, and the controls that draw them."""

from __future__ import annotations

import streamlit as st

from app.curves.lists import BUDGETS
from app.shared import state
from app.shared.findings import wording
from app.shared.sweeps.grid import SHOWN_PATTERNS
from core.spec import parse_pattern
from core.spec.patterns import KINDS as KINDS_OF_PATTERN

PRE = "curves_"  # the page's widgets are its own: what is set here changes nothing on Explore
PATTERN_HELP = "0.5 or 50% (any weights), 2:4 (n zeros in every m), columns:0.3"
_OFFERED: dict[str, tuple[str, ...]] = {
    "patterns-unstructured": tuple(f"{tenths / 10:g}" for tenths in range(1, 10)),
    "patterns-semi-structured": ("1:4", "2:4", "3:4", "2:8", "4:8", "6:8", "8:16"),
    "patterns-structured": tuple(f"columns:{share:g}" for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
    "patterns-neurons": tuple(f"neurons:{share:g}" for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
    "patterns-heads": tuple(f"heads:{count}" for count in (1, 2, 3, 4, 6, 8, 12, 16)),
    "patterns-blocks": tuple(f"blocks:{count}" for count in (1, 2, 3, 4, 6, 8, 12, 16)),
    "block_sizes": tuple(map(str, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 688, 1024, 2048, 4096))),
    "alphas": ("0", "0.01", "0.02", "0.05", "0.1", "0.15", "0.2", "0.3"),
}
_OFFERED["patterns"] = tuple(word for list_word, words in _OFFERED.items() if list_word.startswith("patterns-") for word in words)
USUAL_PATTERNS = (*SHOWN_PATTERNS["unstructured"], *SHOWN_PATTERNS["semi-structured"], *SHOWN_PATTERNS["structured"])


def key(tab: str, word: str) -> str:
    """Key of the widget of a view's word."""
    return f"{PRE}{tab}_{word}"


def many(label: str, tab: str, word: str, more: str) -> None:
    """A list to choose from; what a person types is checked when it is read."""
    offered = dict.fromkeys((*_OFFERED[word], *state.recall(f"offered-{tab}-{word}", ())))
    show = pattern_label if word.startswith("patterns") else str
    st.multiselect(label, list(offered), key=key(tab, word), format_func=show, accept_new_options=True, persist_state="session", help=more)


def draw_budgets(word: str) -> None:
    """Whole columns always keep p: there is nothing to choose."""
    st.segmented_control("Zeros", list(BUDGETS), key=word, selection_mode="multi", format_func=BUDGETS.__getitem__,
                         persist_state="session", width="stretch",
                         help="Where some rows stay dense, the others are pruned at p, so that the total falls; or harder, so that the "
                         "total is p.")


def of_kind(kind: str, text: str) -> str:
    """`40%` typed where columns are chosen means columns, `2` where blocks are means blocks."""
    prefix = KINDS_OF_PATTERN[kind].prefix
    return f"{prefix}:{text}" if prefix and ":" not in text else text


def pattern_label(word: str) -> str:
    """A pattern as a person reads it."""
    try:
        return wording.describe_pattern(parse_pattern(word)).removesuffix(" of the weights")
    except ValueError:
        return word
