"""The frame of every page, and the few pieces of HTML that all pages share. Everything a person or a file said is escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

import streamlit as st

from app.shared.style import Theme

CSS = Path(__file__).with_name("style.css")
MOST_NOTES = 10  # about one link
_MARKUP = re.compile(r"[\\`*_\[\]()!<>$~:|&@]|(?<=www)\.", re.IGNORECASE)  # all that begins markup, a link or an icon inside a line
# The dark theme's primary color is light.
_ON_LIGHT = ("<style>[data-testid='stBaseButton-primary']:enabled, [data-testid='stMultiSelect'] [data-tag] * "
             "{ color: #171B1F !important; }</style>")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that answers something: what it is, the value, and what it is measured on."""

    label: str
    value: str
    note: str = ""
    hover: str = ""


def begin(question: str) -> None:
    """Title and style of a page; its question is its heading."""
    st.html(CSS)
    if theme() == "dark":
        st.html(_ON_LIGHT)
    st.html(f"<h1 class='ps-question'>{escape(question)}</h1>")


def theme() -> Theme:
    """Theme of the browser: light or dark."""
    return "dark" if st.context.theme.type == "dark" else "light"


def note(text: str, *, tone: Literal["plain", "bad"] = "plain", title: str = "") -> None:
    """A remark, or something that went wrong: plain text, never markup."""
    head = f"<strong>{escape(title)}</strong> " if title else ""
    role = "alert" if tone == "bad" else "status"
    st.html(f"<div class='ps-note ps-{tone}' role='{role}'>{head}{escape(text)}</div>")


def heading(text: str, *asides: str) -> None:
    """Draw the heading of the next answer, and in small what else there is to know about it."""
    aside = ", ".join(filter(None, asides))
    st.html(f"<h2 class='ps-about'>{escape(text)} <span class='ps-aside'>{escape(aside)}</span></h2>")


def sentence(text: str) -> None:
    """The finding, in words."""
    st.html(f"<p class='ps-finding'>{escape(_unbroken(text))}</p>")


def aside(text: str) -> None:
    """A remark in small: how something was measured, say."""
    st.html(f"<p class='ps-remark'>{escape(_unbroken(text))}</p>")


def _unbroken(text: str) -> str:
    """A number and its sign stay on one line."""
    return text.replace(" %", "\u00a0%")


def named(label: str, of: str) -> str:
    """The label of a control of which a page has several: `label` is seen, and who hears the page hears `of` too. Plain text in,
    Streamlit's markup out; style.css hides what is emphasized in such controls."""
    return f"{label} *{plain(of.strip())}*"


def plain(text: str) -> str:
    """Text that somebody else wrote, such as a model's name, for a place where Streamlit reads Markdown."""
    return _MARKUP.sub(r"\\\g<0>", text)


def figures(items: Sequence[Figure]) -> None:
    """A row of numbers."""
    cells = "".join(
        f"<div class='ps-figure' title='{escape(item.hover, quote=True)}'><dt>{escape(item.label)}</dt>"
        f"<dd class='ps-value'>{escape(item.value)}</dd><dd class='ps-under'>{escape(item.note)}</dd></div>" for item in items)
    st.html(f"<dl class='ps-figures'>{cells}</dl>")


def facts(items: Sequence[tuple[str, str]]) -> None:
    """A list of terms and what they are."""
    rows = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in items)
    st.html(f"<dl class='ps-facts'>{rows}</dl>")


def link_notes(notes: Sequence[str], *, on_dismiss: Callable[[], None]) -> None:
    """Draw the words of a link that could not be used."""
    if not notes:
        return
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, key="link-notes"):
        more = len(notes) - MOST_NOTES
        shown = [*notes[:MOST_NOTES], *([f"And {more} more of the kind."] if more > 0 else [])]
        items = "".join(f"<li>{escape(text)}</li>" for text in shown)
        st.html("<div class='ps-note ps-bad' role='alert'><strong>Not everything in this link could be used.</strong>"
                f"<ul>{items}</ul></div>")
        st.button("Dismiss", key="dismiss", on_click=on_dismiss)


def cautions(title: str, texts: Sequence[str]) -> None:
    """Draw what must be known before an answer is believed: nothing, one remark, or several."""
    if texts:
        items = escape(texts[0]) if len(texts) == 1 else f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"
        st.html(f"<div class='ps-note ps-bad' role='alert'><strong>{escape(title)}</strong> {items}</div>")


def complaints(texts: Sequence[str]) -> None:
    """Draw what must be changed in the controls before anything can be computed."""
    for text in texts:
        note(text, tone="bad")
