"""Documents of a file as people and tools write them: text, JSON, JSON lines, CSV, Parquet. No torch; CSV and Parquet import datasets.

    form = form_of(path)                    what the file is, by its name and its first bytes
    read_documents(path, form, field)       its documents; raises Unreadable with line, reason and remedy

Never guessed: what does not read as its name says is refused. JSON lines end at line feeds alone, as a string may hold other separators.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

Kind = Literal["text", "json", "lines", "csv", "parquet"]
_KINDS: dict[str, Kind] = {".json": "json", ".jsonl": "lines", ".ndjson": "lines", ".jsonlines": "lines", ".csv": "csv", ".tsv": "csv",
                           ".parquet": "parquet"}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
LONG = 1 << 22  # characters of a document from which windows are drawn by its characters, in a file that may hold one
_LARGE = 8 << 20  # bytes of a file that may hold one
_HEAD = 1 << 16  # bytes by which line endings are told
_OTHER_KINDS = ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"),
                (b"%PDF-", "PDF"))
_USUAL = "text"  # the field of most data sets


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
        head = stream.read(_HEAD)
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


def read_documents(path: Path, form: Form, field: str | None = None) -> list[str]:
    """The documents. `field` names where their text is, in JSON objects and tables; None: "text". Raises Unreadable, OSError."""
    _refuse_other_kinds(path, form)
    if form.kind in ("csv", "parquet"):
        return _column(_table(path, form), field)
    content = _decode(path.read_bytes(), form)
    if form.kind == "json":
        return [*_texts(_list(_load(content, None)), field)]
    if form.kind == "lines":
        lines = ((number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip())
        return [_text(_load(line, number), field, f"line {number}") for number, line in lines]
    if field is not None:
        raise Unreadable(f"a plain text has no field {field!r}: leave it out, or name the file .jsonl if its lines are JSON")
    if _looks_like_lines(content):
        raise Unreadable("its lines are JSON objects: name the file .jsonl, so that their text is read and not their braces")
    return [content.replace("\r\n", "\n").replace("\r", "\n") if form.carriage else content]


def _decode(content: bytes, form: Form) -> str:
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


def _refuse_other_kinds(path: Path, form: Form) -> None:
    """Raise Unreadable for a file that begins as compressed files and PDF do."""
    with path.open("rb") as stream:
        head = stream.read(8)
    kind = next((name for begin, name in _OTHER_KINDS if head.startswith(begin)), None)
    if kind is not None and form.kind != "parquet":
        raise Unreadable(f"it is a {kind} file: {'save its text as a file' if kind == 'PDF' else 'unpack it, and name the file inside'}")


def _separator(path: Path, form: Form) -> str:
    """The character between a table's columns: a tab in .tsv; else of comma, semicolon, tab and bar the first that is in its header."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open("rb") as stream:
        header = stream.read(_HEAD)[form.mark:].decode(form.encoding, "ignore").lstrip().partition("\n")[0]
    return next((character for character in ",;\t|" if character in header), ",")


def _load(text: str, line: int | None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f"line {line}" if line is not None else f"line {getattr(error, 'lineno', 1)}"
        lines = line is None and getattr(error, "msg", "") == "Extra data"
        remedy = ": it seems to hold one object a line; name it .jsonl" if lines else ""
        raise Unreadable(f"{place} is no JSON ({getattr(error, 'msg', error)}){remedy}") from error


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise Unreadable("its JSON is no list of strings or of objects with a field 'text'; write one object a line and name it .jsonl")
    return found


def _texts(items: Iterable[Any], field: str | None) -> Iterator[str]:
    for number, item in enumerate(items, 1):
        yield item if isinstance(item, str) and field is None else _text(item, field, f"entry {number}")


def _text(item: Any, field: str | None, place: str) -> str:
    name = field or _USUAL
    if not isinstance(item, dict):
        raise Unreadable(f"{place} is no object with a field {name!r}")
    if name not in item:
        raise Unreadable(f"{place} has no field {name!r}{_suggestion(name for name, value in item.items() if isinstance(value, str))}")
    if not isinstance(item[name], str):
        raise Unreadable(f"{place}: its field {name!r} is {json.dumps(item[name])[:40]}, no text. Remove such lines, or name another field")
    return item[name]


def _suggestion(names: Iterable[str]) -> str:
    there = [str(name) for name in names][:5]
    return f"; it has {', '.join(there)}: ask for text:FILE:{there[0]}" if there else ", and no other that holds text"


def _table(path: Path, form: Form) -> Any:
    from datasets import Dataset

    with TemporaryDirectory() as cache:
        try:
            if form.kind == "parquet":
                return Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
            return Dataset.from_csv(str(path), cache_dir=cache, keep_in_memory=True, sep=_separator(path, form),
                                    encoding="utf-8-sig" if form.mark and form.encoding == "utf-8" else form.encoding,
                                    keep_default_na=False)
        except Exception as error:  # the library raises many kinds, its own and pandas'
            reason = str(error.__cause__ or error).strip().splitlines()
            raise Unreadable(f"it is no {form.kind} table ({reason[0][:160] if reason else type(error).__name__})") from error


def _column(table: Any, field: str | None) -> list[str]:
    name = field or _USUAL
    if name not in table.column_names:
        raise Unreadable(f"it has no column {name!r}{_suggestion(table.column_names)}")
    values = table[name][:]
    for number, value in enumerate(values, 1):
        if not isinstance(value, str):
            raise Unreadable(f"row {number}: column {name!r} is {value!r}, no text. Remove such rows, or name another column")
    return values


def _looks_like_lines(content: str) -> bool:
    lines = [line for line in content[:_HEAD].split("\n")[:4] if line.strip()]
    try:
        return len(lines) > 1 and all(isinstance(json.loads(line), dict) for line in lines[:-1])
    except (ValueError, RecursionError):
        return False
