"""The embedded text: two splits that share nothing, the same on every run."""

import ast
import hashlib
import inspect
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from core.data import corpus
from core.data.corpus import Document, embedded_text, split_documents

ROOT = Path(__file__).resolve().parents[3]
STDLIB = Path(sysconfig.get_path("stdlib"))


def _document(*paragraphs: str) -> Document:
    return Document(name="some", paragraphs=paragraphs)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text.lower()).split()


def _paragraphs(split: corpus.Split) -> set[str]:
    return {" ".join(part.lower().split()) for document in split_documents()[split] for part in document.paragraphs}


def test_splits_are_large_enough():
    # 3.2 characters a token: 100k evaluation and 60k calibration tokens
    assert len(embedded_text("evaluation").text) > 350_000
    assert len(embedded_text("calibration").text) > 200_000


@pytest.mark.parametrize("split", ["calibration", "evaluation"])
def test_both_sources_are_in_each_split(split: corpus.Split):
    names = [document.name for document in split_documents()[split]]
    topics = sum(name.startswith("topics:") for name in names)
    assert topics > 10
    assert len(names) - topics > 80


def test_splits_share_no_document_and_no_paragraph():
    names = {split: {document.name for document in documents} for split, documents in split_documents().items()}
    assert not names["calibration"] & names["evaluation"]
    assert not _paragraphs("calibration") & _paragraphs("evaluation")


def test_splits_share_no_run_of_ten_words():
    def runs(split: corpus.Split) -> set[tuple[str, ...]]:
        words = [_words(part) for document in split_documents()[split] for part in document.paragraphs]
        return {tuple(one[i : i + 10]) for one in words for i in range(len(one) - 9)}

    assert not runs("calibration") & runs("evaluation")


def test_no_paragraph_is_repeated():
    parts = [part for documents in split_documents().values() for one in documents for part in one.paragraphs]
    assert len(_paragraphs("calibration")) + len(_paragraphs("evaluation")) == len(parts)


def test_hash_is_of_the_text_and_description_names_python():
    text = embedded_text("evaluation")
    assert text.sha256 == hashlib.sha256(text.text.encode("utf-8")).hexdigest()
    assert sys.version.split()[0] in text.description
    assert "evaluation" in text.description


def test_another_process_reads_the_same_text_without_torch():
    code = (
        "import sys; from core.data.corpus import embedded_text as e;"
        "print(e('evaluation').sha256, e('calibration').sha256, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [embedded_text("evaluation").sha256, embedded_text("calibration").sha256, "False"]


def test_a_document_keeps_its_split_when_its_module_turns_private(tmp_path: Path):
    for file in ("datetime.py", "_pydatetime.py"):
        (tmp_path / file).write_text('"""Dates."""\n')
    assert {document.name for document in corpus.docstring_documents(tmp_path)} == {"datetime"}


def test_excluded_folders_and_modules_are_left_out(tmp_path: Path):
    for file in ("a/__init__.py", "a/test/b.py", "old.py", "c.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f'"""Text of {file}."""\n')
    found = corpus.docstring_documents(tmp_path, frozenset({"test"}), frozenset({"old"}))
    assert [document.name for document in found] == ["c", "a"]


@pytest.mark.parametrize("module", ["json/decoder.py", "argparse.py", "asyncio/events.py", "decimal.py", "typing.py"])
def test_docstrings_agree_with_the_parser(module: str):
    """Oracle: ast. Raw source differs from the value of a string only where there are backslashes."""
    source = (STDLIB / module).read_text(encoding="utf-8")
    found = set(corpus.docstrings(source))
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, holders)]
    values = [ast.get_docstring(node, clean=False) or "" for node in nodes]
    wanted = {part for one in values if f'"""{one}' in source for part in corpus.paragraphs(inspect.cleandoc(one))}
    assert wanted <= found
    assert sum(map(len, found)) < 1.1 * sum(map(len, values)) + 100


def test_near_duplicates_are_dropped_and_others_kept():
    held_out = _document("one two three four five six seven eight nine ten eleven twelve")
    near = "And: one, two; THREE four five six seven eight nine\nten, at last"
    far = "one two three four five six seven eight nine and then something else altogether"
    kept = list(corpus.without_overlap([_document(near, far)], corpus.shingles_of([held_out])))
    assert [document.paragraphs for document in kept] == [(far,)]


def test_repeats_are_found_through_case_and_spacing():
    seen = {"seen before"}
    documents = [_document("A b", "Seen\n  before", "a   B", "new")]
    assert [one.paragraphs for one in corpus.without_repeats(documents, seen)] == [("A b", "new")]


def test_unknown_split_says_what_is_allowed():
    with pytest.raises(ValueError, match=r"split: got 'train'; allowed are 'calibration', 'evaluation'"):
        embedded_text("train")  # type: ignore[arg-type]
