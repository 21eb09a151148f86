"""Above the masks: which layer, and what it is compared with."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from app.masks.query import OTHER_WORDS, OTHERS, other_spec
from app.shared import address, layer_choice, layout, state
from core.spec import METHOD_LABELS, METHODS, RunSpec

_NOTHING = "nothing"


def draw(spec: RunSpec, found: Collection[str], layer: str) -> RunSpec | None:
    """The layer, the other mask's controls; returns what they ask for, None for no other mask, or for one that cannot be, which is told."""
    words = _words()
    comparing = any(words.values())
    method = words["b_method"] or (spec.method.name if comparing else _NOTHING)
    has_blocks = method in METHODS and METHODS[method].has_blocks
    widths = [3.15, 1.6, *([1.05, 0.75] if comparing else [2.2]), *([1.4] if has_blocks else [])]  # each label is one line, 1024 wide too
    places = st.columns(widths, gap="small", vertical_alignment="bottom")
    with places[0]:
        layer_choice.draw_select("masks_layer", found, layer, labeled=comparing)
    with places[1]:
        state.set_widget("masks_b_method", method)
        st.selectbox("Compare with", [_NOTHING, *METHODS], key="masks_b_method", on_change=_method_changed,
                     format_func=lambda name: METHOD_LABELS.get(name, "Compare with …" if not comparing else name),
                     label_visibility="visible" if comparing else "collapsed")
    if not comparing:
        return None
    with places[2]:
        _text("b_pattern", words["b_pattern"], "B: pattern", "0.5, 2:4 or columns:0.3; left empty, A's.")
    with places[3]:
        _text("b_alpha", words["b_alpha"], "B: α", "The share of rows that B keeps dense; left empty, A's.")
    if has_blocks:
        with places[4]:
            _text("b_block_size", words["b_block_size"], "B: block size", "Columns at a time; left empty, A's, or the method's own.")
    other, complaints = other_spec(spec, words)
    layout.complaints(complaints)
    return other


def _words() -> dict[str, str]:
    """The words of the other mask; those that cannot be used are told and dropped."""
    other, refused = OTHERS.read({word: address.word(word) for word in OTHER_WORDS})
    for item in refused:
        address.refuse(item.word, str(item))
    return {**dict.fromkeys(OTHER_WORDS, ""), **OTHERS.write(other)}


def _text(word: str, value: str, label: str, explained: str) -> None:
    key = f"masks_{word}"
    state.set_widget(key, value)
    st.text_input(label, key=key, placeholder="as A", help=explained, on_change=lambda: address.set_word(word, state.widget(key).strip()))


def _method_changed() -> None:
    """Another method: what was said of B's block size was said of another."""
    method = state.widget("masks_b_method")
    address.set_word("b_block_size", "")
    address.set_word("b_method", "" if method == _NOTHING else method)
    if method == _NOTHING:
        for word in OTHER_WORDS:
            address.set_word(word, "")
