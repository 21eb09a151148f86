"""Documents of a file as people and tools write them: text, JSON, JSON lines, CSV, Parquet. No torch.

    form = form_of(path)                    what the file is, by its name and its first bytes (core/data/forms.py)
    read_documents(path, form, field)       its documents; raises Unreadable with line, reason and remedy

Never guessed: what does not read as its name says is refused. Lines of JSON end at line feeds and carriage returns alone, as a string may
hold other separators.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.data.forms import HEAD, Form, Unreadable, read_characters, refuse_other_kinds, suggestion
from core.data.tables import read_table

_USUAL = "text"  # the field of most data sets
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_documents(path: Path, form: Form, field: str | None = None) -> list[str]:
    """The documents. `field` names where their text is, in JSON objects and tables; None: "text". Raises Unreadable, OSError."""
    refuse_other_kinds(path, form)
    if form.kind in ("csv", "parquet"):
        return read_table(path, form, field or _USUAL)
    content = read_characters(path, form)
    if form.kind == "json":
        items = _list(_load(content, None))
        return [_text(item, field, f"entry {number}") for number, item in enumerate(items, 1)]
    if form.kind == "lines":
        return [_text(item, field, f"line {number}") for number, item in _items(content)]
    if field is not None:
        raise Unreadable(f"a plain text has no field {field!r}: leave it out, or name the file .jsonl if its lines are JSON")
    _refuse_json(content)
    return [content.replace("\r\n", "\n").replace("\r", "\n") if form.carriage else content]


def _items(content: str) -> Iterator[tuple[int, Any]]:
    """Number and value of each line of JSON that is not empty. A mark before a line is of files that were joined."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip("\ufeff \t"):
            try:
                yield number, _load(line.lstrip("\ufeff"), number)
            except Unreadable as error:
                if content.lstrip().startswith("[") and _is_json(content):
                    raise Unreadable("it holds one JSON list: name it .json") from error
                raise


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


def _text(item: Any, field: str | None, place: str) -> str:
    """The text of a string, or of an object's field."""
    name = field or _USUAL
    if isinstance(item, str) and field is None:
        found = item
    elif not isinstance(item, dict):
        remedy = ": it seems to be one JSON list; name it .json" if isinstance(item, list) and _objects(item) else ""
        raise Unreadable(f"{place} is no object with a field {name!r}{remedy}")
    elif name not in item:
        raise Unreadable(f"{place} has no field {name!r}"
                         + suggestion({str(key): value for key, value in item.items() if isinstance(value, str)}))
    elif not isinstance(item[name], str):
        raise Unreadable(f"{place}: its field {name!r} is {json.dumps(item[name])[:40]}, no text. Remove such lines, or name another field")
    else:
        found = item[name]
    half = _SURROGATE.search(found)
    if half is not None:
        raise Unreadable(f"{place}: its text holds half a character (\\u{ord(half[0]):04x}, a surrogate without the other): it was cut "
                         "within a character. Remove it there")
    return found


def _objects(items: Iterable[Any]) -> bool:
    return all(isinstance(item, dict) for item in items)


def _refuse_json(content: str) -> None:
    """Raise Unreadable for a text that is JSON or lines of JSON objects, whose braces would be read with it."""
    if content[:HEAD].lstrip()[:1] not in ("{", "["):
        return
    lines = [line for line in content[:HEAD].splitlines()[:4] if line.strip()]
    if len(lines) > 1 and all(_is_json(line) for line in lines[:-1]) and lines[0].lstrip().startswith("{"):
        raise Unreadable("its lines are JSON objects: name the file .jsonl, so that their text is read and not their braces")
    if _is_json(content):
        raise Unreadable("it is JSON: name the file .json if it is a list of texts, .jsonl if it is one object a line, so that its text is "
                         "read and not its braces")


def _is_json(text: str) -> bool:
    """True for a JSON object or list."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
