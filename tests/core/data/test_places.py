"""Where a text may be read from: any path for a user's own process, the folders of texts for one that answers browsers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.data.places import confine, confined, list_texts, locate_text, models_root, texts_root
from core.data.texts import read_text, text_revision
from core.spec.errors import BadInput

pytestmark = pytest.mark.faults


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of texts of a confined process; a secret lies beside it."""
    monkeypatch.setenv("PRUNESCOPE_CONFINED", "1")
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path / "texts"))
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    (folder / "sub" / "more.txt").write_text("more")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.npy").write_bytes(b"secret")
    return folder


def links(texts: Path) -> None:
    (texts / "link.txt").symlink_to(texts.parent / "secret.txt")
    (texts / "folder").symlink_to(texts.parent)
    (texts / "chain.txt").symlink_to(texts / "link.txt")
    (texts / "tokens.npy").symlink_to(texts.parent / "secret.npy")


@pytest.mark.parametrize("name", ["../secret.txt", "sub/../../secret.txt", "{}/secret.txt", "{}/texts/../secret.txt", "link.txt",
                                  "chain.txt", "folder/secret.txt", "/etc/passwd", "/proc/self/environ", "{}/nothing.txt",
                                  "uploads/../../secret.txt",
                                  "uploads/../secret.txt", "./../secret.txt", "~/secret.txt", "sub/../link.txt"])
@pytest.mark.parametrize("split", ["calibration", "evaluation"])
def test_a_confined_process_reads_nothing_else(texts: Path, name: str, split) -> None:
    links(texts)
    for read in (read_text, text_revision):
        with pytest.raises(BadInput) as caught:
            read(f"text:{name.format(texts.parent)}", split)
        assert caught.value.field == split
        assert "PRUNESCOPE_TEXTS" in str(caught.value)


@pytest.mark.parametrize("source", ["windows:../secret.npy", "windows:tokens.npy", "windows:folder/secret.npy"])
def test_windows_are_texts_too(texts: Path, source: str) -> None:
    links(texts)
    with pytest.raises(BadInput, match="PRUNESCOPE_TEXTS"):
        read_text(source, "calibration")


def test_what_is_there_and_what_is_not_are_refused_in_the_same_words(texts: Path) -> None:
    words = set()
    for name in ("secret.txt", "absent.txt"):
        with pytest.raises(BadInput) as caught:
            locate_text(f"../{name}", "calibration")  # short: a message cuts off what is long
        words.add(str(caught.value).replace(name, ""))
    assert len(words) == 1


@pytest.mark.parametrize("name", ["mine.txt", "sub/more.txt", "sub/../mine.txt", "{}/mine.txt", "inner.txt"])
def test_a_confined_process_reads_its_folder(texts: Path, name: str) -> None:
    (texts / "inner.txt").symlink_to(texts / "mine.txt")
    assert locate_text(name.format(texts), "calibration").is_relative_to(texts)


def test_uploads_have_a_folder_of_their_own(texts: Path, prunescope_home: Path) -> None:
    (prunescope_home / "uploads").mkdir()
    (prunescope_home / "uploads" / "ab.txt").write_text("sent")
    assert read_text("text:uploads/ab.txt", "calibration").documents == ["sent"]
    (prunescope_home / "uploads" / "out.txt").symlink_to(texts / "mine.txt")
    with pytest.raises(BadInput, match="links that lead out"):
        read_text("text:uploads/out.txt", "calibration")


def test_a_linked_folder_of_texts_is_fine(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alias").symlink_to(texts)
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path / "alias"))
    assert locate_text("mine.txt", "calibration") == texts / "mine.txt"


def test_a_users_own_process_reads_any_path_and_the_folder_as_well(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNESCOPE_CONFINED")
    assert read_text(f"text:{texts.parent}/secret.txt", "calibration").documents == ["secret"]
    monkeypatch.chdir(texts.parent)
    assert read_text("text:secret.txt", "calibration").documents == ["secret"]
    assert read_text("text:mine.txt", "calibration").documents == ["mine"]
    with pytest.raises(BadInput, match="a file that exists"):
        locate_text("../nothing", "calibration")


def test_the_list_holds_texts_three_deep_and_no_links_out(texts: Path) -> None:
    links(texts)
    (texts / "a" / "b" / "c").mkdir(parents=True)
    for place in ("a/b/deep.jsonl", "a/b/c/deeper.txt", "program.exe", ".hidden.txt"):
        (texts / place).write_text("x")
    assert list_texts() == ("a/b/deep.jsonl", "mine.txt", "sub/more.txt")


def test_names_that_no_disk_can_hold(texts: Path) -> None:
    for name in ("x" * 5000, "a\0b", "x/" * 3000):
        with pytest.raises(BadInput):
            locate_text(name, "calibration")


def test_the_folders_are_below_the_home_by_default(prunescope_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNESCOPE_TEXTS", raising=False)
    monkeypatch.delenv("PRUNESCOPE_MODELS", raising=False)
    assert texts_root() == prunescope_home / "texts"
    assert models_root() == prunescope_home / "models"


@pytest.mark.parametrize(("module", "expected"), [
    ("app.workers.tasks", True), ("app.workers.sessions", True), ("app.shared.resources", True), ("core.cli.commands", False)])
def test_importing_what_serves_confines_the_process(module: str, expected: bool, root: Path) -> None:
    """Tasks reach a worker as names of functions, so the module that holds them is imported before one runs."""
    environment = {name: value for name, value in os.environ.items() if name != "PRUNESCOPE_CONFINED"}
    words = f"import {module}, os; print(bool(os.environ.get('PRUNESCOPE_CONFINED')))"
    done = subprocess.run([sys.executable, "-c", words], cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(expected)


def test_confinement_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNESCOPE_CONFINED", raising=False)
    assert not confined()
    confine()
    assert confined()
    assert os.environ["PRUNESCOPE_CONFINED"]
