"""`--model` as a path: the folder it means, and what is left as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.cli.model_paths import word_of_path
from core.data.places import models_root
from core.spec.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder data/llama in the current one, and PRUNESCOPE_MODELS elsewhere with a model of its own."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "own").mkdir(parents=True)
    made = tmp_path / "data" / "llama"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize("written", ["{folder}", "./data/llama", "data/llama", "data/../data/llama/"])
def test_a_path_is_its_folder_however_it_is_written(folder: Path, written: str) -> None:
    word = word_of_path(written.format(folder=folder))
    assert word == "llama"
    assert models_root() / word == folder
    assert word_of_path(str(folder)) == "llama"  # a sweep asks once a run


@pytest.mark.parametrize("word", ["demo", "own", "owner/name", "nowhere"])
def test_other_words_stay_and_so_does_the_folder_of_models(folder: Path, word: str) -> None:
    before = os.environ["PRUNESCOPE_MODELS"]
    assert word_of_path(word) == word
    assert os.environ["PRUNESCOPE_MODELS"] == before


def test_a_path_below_the_folder_of_models_keeps_it(folder: Path, tmp_path: Path) -> None:
    assert word_of_path("./models/own") == "own"
    assert models_root() == tmp_path / "models"


def test_a_folder_named_demo_is_not_the_demo(folder: Path) -> None:
    made = folder.rename(folder.parent / "demo")
    assert (word := word_of_path(f"{made}")) == "data/demo"
    assert models_root() / word == made


def test_links_of_the_hubs_cache_are_within_reach(folder: Path) -> None:
    blob = folder.parent / "blobs" / "weights"
    blob.parent.mkdir()
    blob.touch()
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    assert word_of_path(str(snapshot)) == "llama/snapshots/abc"
    assert blob.is_relative_to(models_root())


def test_a_path_without_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="A relative path starts at"):
        word_of_path("./elsewhere")
