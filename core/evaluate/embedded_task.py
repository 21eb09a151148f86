"""Zero-shot task without a network: four words, of which one ends a sentence of Python's documentation.

The sentences are those of the embedded text that is held out (core/data/corpus.py). The word that ends one has been used in the passage
before it; the three others end other sentences of the same document and are not in the passage. A model that looks back can tell, by
what it has read and by what fits. Guessing is right in a quarter. The rows are made when asked for and depend only on the standard
library of the running Python.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypedDict

from core.data.corpus import Document, split_documents

NAME = "embedded_words"
EXAMPLES, ANSWERS = 300, 4
_PASSAGE_WORDS, _FEWEST_WORDS, _MOST_A_DOCUMENT = 60, 6, 12
_LAST_WORD = re.compile(r"(?<= )([a-z]{4,})(?=\.(?: [A-Z]|$))")
_NO_PROSE = (">>>", "::")


class Row(TypedDict):
    query: str
    choices: list[str]
    gold: int


def task_config() -> dict[str, Any]:
    """lm-eval's description of the task."""
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]
    return {"task": NAME, "custom_dataset": _dataset, "output_type": "multiple_choice", "test_split": "test", "doc_to_text": "query",
            "doc_to_target": "gold", "doc_to_choice": "choices", "metric_list": metrics, "metadata": {"version": 1.0}}


@cache
def rows() -> tuple[Row, ...]:
    """At most EXAMPLES rows, by hash of their passages: a fair sample of the documents, and the same ones each time."""
    found = [row for document in split_documents()["evaluation"] for row in _document_rows(document)]
    return tuple(sorted(found, key=lambda row: _hash(row["query"]))[:EXAMPLES])


def _document_rows(document: Document) -> list[Row]:
    paragraphs = [" ".join(paragraph.split()) for paragraph in document.paragraphs]
    endings = sorted({match[0] for paragraph in paragraphs if _prose(paragraph) for match in _LAST_WORD.finditer(paragraph)})
    found = [row for passage, word in _passages(paragraphs) if (row := _row(passage, word, endings)) is not None]
    return sorted(found, key=lambda row: _hash(row["query"]))[:_MOST_A_DOCUMENT]


def _passages(paragraphs: list[str]) -> Iterator[tuple[str, str]]:
    """Every sentence's last word, with the words before it."""
    for place, paragraph in enumerate(paragraphs):
        if not _prose(paragraph):
            continue
        for match in _LAST_WORD.finditer(paragraph):
            before = paragraph[:match.start()].split()
            if len(before) >= _FEWEST_WORDS:
                yield " ".join([*" ".join(paragraphs[:place]).split(), *before][-_PASSAGE_WORDS:]), match[0]


def _row(passage: str, word: str, endings: list[str]) -> Row | None:
    used = set(re.findall(r"[a-z]+", passage.lower()))
    others = sorted((other for other in endings if other not in used and other != word), key=lambda other: _hash(passage + other))
    if word not in used or len(others) < ANSWERS - 1:
        return None
    choices = sorted([word, *others[:ANSWERS - 1]], key=lambda choice: _hash(f"{choice} {passage}"))
    return Row(query=passage, choices=choices, gold=choices.index(word))


def _prose(paragraph: str) -> bool:
    return not any(mark in paragraph for mark in _NO_PROSE)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _dataset(**keywords: object) -> dict[str, Any]:
    import datasets  # pyright: ignore[reportMissingTypeStubs]

    return {"test": datasets.Dataset.from_list([dict(row) for row in rows()])}
