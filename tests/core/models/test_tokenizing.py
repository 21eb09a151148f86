"""Folders without a usable tokenizer are told as that, and a tokenizer of another model as that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.data.windows import calibration_windows, evaluation_windows
from core.demo import MODEL
from core.models.sources import resolve_model
from core.models.tokenizing import check_tokenizer_files, load_tokenizer, reads_text
from core.run.planning import plan
from core.spec import Calibration, Evaluation, RunSpec
from core.spec.errors import BadInput

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo, to be damaged."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return Path(shutil.copytree(MODEL, tmp_path / "mine"))


def removed(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def pointer(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(POINTER)


def pointer_of_a_model(folder: Path) -> None:
    removed(folder)
    (folder / "tokenizer.model").write_bytes(POINTER)


def sentencepiece(folder: Path) -> None:
    """A LLaMA of before tokenizer.json: its kind is read by a library that is not installed here."""
    removed(folder)
    (folder / "tokenizer.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>" * 20)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))


def damaged(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 1}')


@pytest.mark.parametrize(("damage", "words", "at_once"), [
    (removed, "It has none", True), (pointer, "Git LFS pointer", True), (pointer_of_a_model, "tokenizer.model is a Git LFS pointer", True),
    (sentencepiece, "needs|does not load", False), (damaged, "does not load", False)])
def test_it_is_told_before_a_run(folder: Path, damage: Callable[[Path], None], words: str, at_once: bool) -> None:
    damage(folder)
    source = resolve_model("mine")
    if at_once:
        with pytest.raises(BadInput, match=words):
            check_tokenizer_files(source)
    for ask in (lambda: load_tokenizer(source), lambda: plan(RunSpec(model="mine"))):
        with pytest.raises(BadInput, match=words) as caught:
            ask()
        assert caught.value.field == "model"
        assert "save_pretrained" in caught.value.remedy


def test_ready_windows_need_no_tokenizer(folder: Path, tmp_path: Path) -> None:
    removed(folder)
    np.save(tmp_path / "a.npy", np.ones((4, 32), dtype=int))
    source = f"windows:{tmp_path / 'a.npy'}"
    spec = RunSpec(model="mine", calibration=Calibration(source=source, windows=2), evaluation=Evaluation(source=source))
    assert not reads_text(spec)
    assert plan(spec).layers


def test_the_demos_own_works() -> None:
    check_tokenizer_files(resolve_model("demo"))
    assert len(load_tokenizer(resolve_model("demo"))) == 4096


@pytest.mark.parametrize(("make", "spec"), [(calibration_windows, Calibration(windows=2, length=8)),
                                            (evaluation_windows, Evaluation(length=8))])
def test_ids_beyond_the_embedding_are_told(make, spec) -> None:
    reader = SimpleNamespace(context=64, vocabulary=50, bos=None, separator=None,
                             encode=lambda text, special=True: [min(ord(letter), 200) for letter in text])
    with pytest.raises(BadInput, match="rows of its embedding") as caught:
        make(spec, reader)
    assert caught.value.field == "model"
