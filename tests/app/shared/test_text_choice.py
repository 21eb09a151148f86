"""Choice of a text: what is at hand is listed with its folder, and uploads are off unless switched on, bounded and kept by content."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import text_choice
from core.data.texts import read_text
from core.spec.errors import BadInput


def page() -> None:
    from app.shared import text_choice
    from app.shared.fields import fields_of
    from core.spec import Calibration

    text_choice.draw(fields_of(Calibration, {"calibration": "source"})[0])
    text_choice.draw_folder()


@pytest.fixture
def texts(prunescope_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PRUNESCOPE_TEXTS", "PRUNESCOPE_UPLOADS"):
        monkeypatch.delenv(name, raising=False)
    (prunescope_home / "texts" / "sub").mkdir(parents=True)
    (prunescope_home / "texts" / "sub" / "mine.txt").write_text("x")
    (prunescope_home / "texts" / "tokens.npy").write_bytes(b"x")
    return prunescope_home / "texts"


def test_files_below_the_folder_can_be_chosen_and_the_folder_is_named(texts: Path) -> None:
    session = AppTest.from_function(page).run()
    options = session.selectbox(key="calibration").options
    assert {"embedded", "text:sub/mine.txt", "windows:tokens.npy"} <= set(options)
    assert str(texts) in session.main[1].proto.body
    assert not session.get("file_uploader")
    session.selectbox(key="calibration").set_value("text:sub/mine.txt").run()
    assert session.session_state["calibration"] == "text:sub/mine.txt"


def test_uploads_are_there_when_switched_on(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_UPLOADS", "2")
    assert "2 MiB" in AppTest.from_function(page).run().get("file_uploader")[0].proto.label


@pytest.mark.parametrize(("word", "expected"), [("", 0), ("0", 0), ("no", 0), ("-1", 0), ("²", 0), ("16", 16), ("9" * 20, 0),
                                              ("99999", 1024)])
def test_the_switch_is_a_number_of_mib(word: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_UPLOADS", word)
    assert text_choice.allowed_mib() == expected


def test_an_upload_is_kept_by_content_and_read_like_any_text(texts: Path, prunescope_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_UPLOADS", "1")
    name = text_choice.keep("../../My notes.TXT", b"some text")
    assert name == text_choice.keep("other.txt", b"some text") != text_choice.keep("other.txt", b"another")
    assert sorted(path.suffix for path in (prunescope_home / "uploads").iterdir()) == [".txt", ".txt"]
    assert read_text(f"text:{name}", "calibration").documents == ["some text"]
    assert f"text:{name}" in AppTest.from_function(page).run().selectbox(key="calibration").options


@pytest.mark.parametrize(("name", "content"), [("a.exe", b"x"), ("a.npy", b"x"), ("a", b"x"), ("a.txt", b""),
                                              ("a.txt", b"x" * (1 << 20) + b"x")])
def test_other_kinds_and_sizes_are_refused(texts: Path, name: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_UPLOADS", "1")
    with pytest.raises(BadInput, match="upload"):
        text_choice.keep(name, content)


def test_all_uploads_together_are_bounded_and_nothing_is_kept_while_they_are_off(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="upload"):
        text_choice.keep("a.txt", b"x")
    monkeypatch.setenv("PRUNESCOPE_UPLOADS", "1")
    monkeypatch.setattr(text_choice, "_ALL", 10)
    text_choice.keep("a.txt", b"123456")
    with pytest.raises(BadInput, match="in all"):
        text_choice.keep("b.txt", b"7890123")
