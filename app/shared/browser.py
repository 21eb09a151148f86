"""The word by which a browser is known to this server: a cookie that app/server/browsers.py gives."""

from __future__ import annotations

import re

import streamlit as st

COOKIE = "prunescope-browser"
_WORD = re.compile(r"[0-9a-f]{32}")


def is_word(text: str) -> bool:
    """True for a word that this server may have given."""
    return _WORD.fullmatch(text) is not None


def browser() -> str:
    """The word of the browser that looks at this page; its address where it takes no cookies; "" where neither is known."""
    word, address = st.context.cookies.get(COOKIE), st.context.ip_address
    if isinstance(word, str) and is_word(word):
        return word
    return address if isinstance(address, str) else ""  # a page without a browser has neither
