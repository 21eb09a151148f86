"""Forms of text files: what a file is, by its name and its first bytes, and its content as characters. No torch.

Never guessed: what does not read as its name says is refused.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Literal

Kind = Literal["text", "json", "lines", "csv", "parquet"]
_KINDS: dict[str, Kind] = {".json": "json", ".jsonl": "lines", ".ndjson": "lines", ".jsonlines": "lines", ".csv": "csv", ".tsv": "csv",
                           ".parquet": "parquet"}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
LONG = 1 << 22  # characters of a document from which windows are drawn by its characters, in a file that may hold one
_LARGE = 8 << 20  # bytes of a file that may hold one
HEAD = 1 << 16  # bytes by which line endings and separators are told
_UNPACK = "unpack it, and name the file inside"
_OTHER_KINDS = (
    (b"\x1f\x8b", "a gzip file", _UNPACK), (b"PK\x03\x04", "a zip file", _UNPACK), (b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK), (b"\xfd7zXZ", "an xz file", _UNPACK), (b"7z\xbc\xaf", "a 7-Zip file", _UNPACK),
    (b"%PDF-", "a PDF file", "save its text as a file"), (b"{\\rtf", "an RTF document", "save it as plain text"),
    (b"version https://git-lfs", "a Git LFS pointer in the place of the text", "finish the download with `git lfs pull`"))
_DOCUMENTS = {".docx", ".odt", ".epub", ".xlsx", ".ods", ".pptx"}  # zip files in which a person sees no file


class Unreadable(ValueError):
    """A file that is not what its name says, in words: where, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """Manner of reading a file. `mark`: bytes of its encoding mark; `carriage`: lines end with carriage returns, read as line feeds.

    `plain`: read as every release has read it, so that its content address is the hash of its bytes.
    """

    kind: Kind
    encoding: str
    mark: int
    carriage: bool
    plain: bool


def form_of(path: Path) -> Form:
    """The form of a file, by its suffix in any case, its encoding mark and its first line endings. Raises OSError."""
    kind = _KINDS.get(path.suffix.lower(), "text")
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    mark, encoding = next(((len(mark), name) for mark, name in _MARKS if head.startswith(mark)), (0, "utf-8"))
    carriage = kind == "text" and "\r" in head[mark:].decode(encoding, "ignore")
    as_before = path.suffix in (".json", ".jsonl") if kind != "text" else not mark and not carriage
    return Form(kind=kind, encoding=encoding, mark=mark, carriage=carriage, plain=as_before)


def has_long_document(path: Path, form: Form) -> bool:
    """True where a document of over 4 Mi characters may be: in a text or CSV of over 8 MiB, in such JSON of which 4 MiB in a row have no
    line feed, and in any Parquet table, as it is compressed. Few bytes are read. Raises OSError."""
    size = path.stat().st_size
    if form.kind == "parquet":
        return True
    if size <= _LARGE:
        return False
    if form.kind in ("text", "csv"):
        return True
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        return any(content.find(b"\n", start, start + LONG) < 0 for start in range(0, size - LONG + 1, LONG))


def read_characters(path: Path, form: Form) -> str:
    """The content without its encoding mark. Raises Unreadable for what is no text in the file's encoding, OSError."""
    content = path.read_bytes()
    try:
        text = content[form.mark:].decode(form.encoding)
    except UnicodeDecodeError as error:
        line = content[:form.mark + error.start].count(b"\n") + 1
        raise Unreadable(f"line {line}: byte {form.mark + error.start + 1} is no {form.encoding.upper()}. Save it as UTF-8, for example "
                         "with `iconv -f WINDOWS-1252 -t UTF-8`") from error
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise Unreadable(f"line {line} holds a zero character: it is no text, or UTF-16 without its mark. Save it as UTF-8, for example "
                         "with `iconv -f UTF-16LE -t UTF-8`")
    return text


def refuse_other_kinds(path: Path, form: Form) -> None:
    """Raise Unreadable for a file that begins as compressed files, office documents, PDF or Git LFS pointers do."""
    with path.open("rb") as stream:
        head = stream.read(32)
    found = next(((kind, remedy) for begin, kind, remedy in _OTHER_KINDS if head[form.mark:].startswith(begin)), None)
    if found is not None:
        kind, remedy = found
        raise Unreadable(f"it is a document of an office program ({path.suffix.lower()}): save its text as a file"
                         if path.suffix.lower() in _DOCUMENTS else f"it is {kind}: {remedy}")


def suggestion(values: Mapping[str, str]) -> str:
    """Words on the fields that hold text, by name, in place of one that is not there: the longest value is most likely the text."""
    if not values:
        return ", and no other that holds text"
    names = [str(name) for name in values]
    likely = max(values, key=lambda name: len(values[name]))
    return f"; it has {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}: ask for text:FILE:{likely}"
