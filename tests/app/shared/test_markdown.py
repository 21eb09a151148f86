"""Names that somebody else wrote are shown as they are where Streamlit reads Markdown."""

import time

from streamlit.testing.v1 import AppTest

from app.runs import listing
from app.shared import layout
from cache import RunRecord
from core.spec import RunSpec
from tests.cache.examples import key_of

NAME = "![x](http://x.example/a.png) **bold** :red[x] $x$ <b>_y_</b> `z` [a](b)"


def test_punctuation_is_taken_as_it_is():
    escaped = layout.plain(NAME)
    assert escaped.replace("\\", "") == NAME
    assert all(escaped[at - 1] == "\\" for at, letter in enumerate(escaped) if letter in "![]()*:$<>_`")


def test_many_notes_are_counted():
    def page() -> None:
        from app.shared import layout

        layout.link_notes([f"note {number}" for number in range(500)], on_dismiss=lambda: None)

    body = "".join(item.proto.body for item in AppTest.from_function(page).run().main if item.type == "html")
    assert "note 9<" in body
    assert "note 10<" not in body
    assert "490 more" in body


def test_the_list_of_runs_reads_no_markdown_in_a_models_name(monkeypatch):
    labels: list[str] = []
    monkeypatch.setattr(listing.st, "checkbox", lambda label, **_: labels.append(label))
    monkeypatch.setattr(listing.st, "button", lambda label, **_: labels.append(label))
    monkeypatch.setattr(listing.st, "menu_button", lambda label, *_, **__: labels.append(label))
    spec = RunSpec(model="![x](http:x.example)")
    listing._draw_row(RunRecord(key=key_of("x"), spec=spec, state="failed", submitted=time.time(), error="x"))
    assert len(labels) == 3
    assert not [label for label in labels if "![x](" in label]
