"""The embedded text: what every Python install already holds.

The app must work where no data set can be reached, so its calibration and evaluation text is read
from the standard library: the reference manual in `pydoc_data.topics` and the docstrings of the
`.py` sources. Nothing that depends on the installed packages is used, so the text moves only with
the Python version, and `EmbeddedText.description` says which one it was.

The splits are by document (a topic or a module), decided by a hash of the document's name: the same
documents are held out under every Python version. The demo model was trained on the calibration
split (among other text) and never on the evaluation split.

No torch here, and no parser: `ast` needs six seconds for the standard library, splitting at triple
quotes a tenth of one.
"""

import hashlib
import inspect
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

Split = Literal["calibration", "evaluation"]

EVALUATION_SHARE = 0.30
SHINGLE_WORDS = 10

# Test folders are deleted from Docker images; tkinter, turtle, idlelib and ensurepip are separate
# packages on Debian; the rest left the library by 3.13 or came after 3.11.
EXCLUDED_FOLDERS = frozenset(
    "test tests idle_test idlelib site-packages dist-packages tkinter turtledemo ensurepip"  # noqa: SIM905
    " pydoc_data lib2to3 distutils _pyrepl __pycache__".split()
)
EXCLUDED_MODULES = frozenset(
    "turtle aifc asynchat asyncore cgi cgitb chunk crypt imghdr imp mailcap nntplib pipes smtpd"  # noqa: SIM905
    " sndhdr sunau telnetlib uu xdrlib _bootsubprocess antigravity this".split()
)


@dataclass(frozen=True, kw_only=True)
class EmbeddedText:
    """One split of the embedded text."""

    text: str  # paragraphs separated by a blank line
    sha256: str  # of the UTF-8 bytes of `text`: goes into records and cache keys
    description: str  # for a person: source, split, Python version


@dataclass(frozen=True, kw_only=True)
class Document:
    """A topic, or all docstrings of a module."""

    name: str  # "topics:assert", "json.decoder"
    paragraphs: tuple[str, ...]


@lru_cache(maxsize=2)
def embedded_text(split: Split) -> EmbeddedText:
    """The text of one split, read from the running interpreter's standard library."""
    documents = split_documents()
    if split not in documents:
        raise ValueError(f"split: got {split!r}; allowed are {', '.join(map(repr, documents))}")
    text = join_documents(documents[split])
    python = ".".join(map(str, sys.version_info[:3]))
    return EmbeddedText(
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        description=f"Python {python} standard library: manual topics and docstrings, {split} split",
    )


@cache
def split_documents() -> dict[Split, tuple[Document, ...]]:
    """Both splits, without repeated paragraphs, in an order that mixes topics and modules.

    The order is by hash of the name, so the first windows of a split are a fair sample of it. From the
    calibration split every paragraph is dropped that shares a run of words with the evaluation split.
    """
    documents = sorted(standard_library(), key=lambda document: _hash(document.name))
    held_out = [document for document in documents if in_evaluation(document.name)]
    seen: set[str] = set()
    evaluation = tuple(without_repeats(held_out, seen))
    shingles = shingles_of(evaluation)
    rest = [document for document in documents if not in_evaluation(document.name)]
    calibration = tuple(without_overlap(without_repeats(rest, seen), shingles))
    return {"calibration": calibration, "evaluation": evaluation}


def in_evaluation(name: str) -> bool:
    """True if the document of that name is held out; the same under any Python version."""
    return _hash(name) < EVALUATION_SHARE * 2**64


def standard_library() -> Iterator[Document]:
    """Every document of the standard library, modules in the order of their paths."""
    from pydoc_data.topics import topics  # half a megabyte: only when the text is wanted

    for topic, text in sorted(topics.items()):
        yield Document(name=f"topics:{topic}", paragraphs=paragraphs(text))
    root = Path(sysconfig.get_path("stdlib"))
    yield from docstring_documents(root, EXCLUDED_FOLDERS, EXCLUDED_MODULES)


def docstring_documents(root: Path, folders: frozenset[str] = frozenset(), modules: frozenset[str] = frozenset()) -> Iterator[Document]:
    """The docstrings of the sources below `root`, except in the named folders and modules."""
    for path in sources(root, folders):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in modules:
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found = docstrings(path.read_text(encoding="utf-8", errors="replace"))
        if found:
            # 3.12 moved datetime to _pydatetime: the same text must stay in the same split.
            yield Document(name=name.removeprefix("_py"), paragraphs=found)


def sources(root: Path, folders: frozenset[str]) -> Iterator[Path]:
    """The `.py` files below `root` in a fixed order, without entering the named folders."""
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(set(inner) - folders)
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))


def docstrings(source: str) -> tuple[str, ...]:
    '''Paragraphs of the triple-quoted strings that begin a line: nearly always docstrings.

    Text between two `"""` is inside a string when it is an odd piece of the split.
    '''
    pieces = source.split('"""')
    found: list[str] = []
    for before, inside in zip(pieces[0::2], pieces[1::2], strict=False):
        if before.rpartition("\n")[2].strip() in ("", "r", "R"):
            found.extend(paragraphs(inspect.cleandoc(inside)))
    return tuple(found)


def paragraphs(text: str) -> tuple[str, ...]:
    """Paragraphs of a text: the parts between blank lines."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return tuple(part.strip("\n") for part in re.split(r"\n{2,}", lines) if part.strip())


def without_repeats(documents: Iterable[Document], seen: set[str]) -> Iterator[Document]:
    """Drop paragraphs met before, here or in `seen` (which grows); ignores case and spacing."""
    for document in documents:
        kept: list[str] = []
        for paragraph in document.paragraphs:
            key = " ".join(paragraph.lower().split())
            if key not in seen:
                seen.add(key)
                kept.append(paragraph)
        if kept:
            yield Document(name=document.name, paragraphs=tuple(kept))


def shingles_of(documents: Iterable[Document]) -> frozenset[tuple[str, ...]]:
    """All runs of SHINGLE_WORDS words within a paragraph."""
    return frozenset(run for document in documents for part in document.paragraphs for run in _runs(part))


def without_overlap(documents: Iterable[Document], shingles: frozenset[tuple[str, ...]]) -> Iterator[Document]:
    """Drop paragraphs that share a run of words with the held-out text: near-duplicates of it."""
    for document in documents:
        kept = tuple(part for part in document.paragraphs if shingles.isdisjoint(_runs(part)))
        if kept:
            yield Document(name=document.name, paragraphs=kept)


def join_documents(documents: Iterable[Document]) -> str:
    """One text, as a language model reads it."""
    return "\n\n".join("\n\n".join(document.paragraphs) for document in documents)


def _runs(paragraph: str) -> Iterator[tuple[str, ...]]:
    words = re.findall(r"\w+", paragraph.lower())
    return zip(*(words[i:] for i in range(SHINGLE_WORDS)), strict=False)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
