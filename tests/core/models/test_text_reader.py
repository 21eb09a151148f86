"""A long text is read once by a process, and anew as soon as the tokenizer is another."""

import json
import shutil

import pytest
from transformers import AutoTokenizer

from core.data.corpus import embedded_text
from core.demo import MODEL
from core.models import text_reader as opened
from core.models.loading import load_model
from core.models.sources import resolve_model

TEXT = embedded_text("evaluation").text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The demo model under another name, where its files may change."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return shutil.copytree(MODEL, tmp_path / "copy")


@pytest.fixture
def loaded(monkeypatch):
    """The folders whose tokenizer was loaded."""
    seen, load = [], opened._loaded
    monkeypatch.setattr(opened, "_loaded", lambda path: seen.append(path) or load(path))
    return seen


def read(text=TEXT):
    source = resolve_model("copy")
    return list(opened.text_reader(source, load_model(source)).encode(text))


def test_a_long_text_is_read_once(folder, loaded):
    assert len(TEXT) in opened.REMEMBERED
    first = read()
    assert first == AutoTokenizer.from_pretrained(MODEL)(TEXT, verbose=False)["input_ids"]
    assert read() == first
    assert len(loaded) == 1
    assert read(TEXT[:-50]) != first
    assert read("a short one") == read("a short one")
    assert len(loaded) == 4


def test_another_tokenizer_reads_it_anew(folder, loaded):
    first = read()
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["e"], words["t"] = words["t"], words["e"]
    file.write_text(json.dumps(content))
    second = read()
    assert len(loaded) == 2
    assert second != first
    assert len(second) == len(first)
