"""Tables as texts: a column of a CSV or Parquet file, a document a row. No torch; Parquet imports datasets.

A CSV file has no types: every value is text. What does not fit its header is refused, for it would be read as something else.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.data.forms import HEAD, Form, Unreadable, read_characters, suggestion

_SEPARATORS = ",;\t|"
_NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?\s*", re.ASCII)
_NAMED = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # first line that spreadsheets write and read
csv.field_size_limit((1 << 31) - 1)  # a document may have more than the 128 KiB that the library allows


def read_table(path: Path, form: Form, name: str) -> list[str]:
    """The column `name`. Raises Unreadable, OSError."""
    return _from_csv(path, form, name) if form.kind == "csv" else _from_parquet(path, name)


def _from_csv(path: Path, form: Form, name: str) -> list[str]:
    content = read_characters(path, form)
    named = _NAMED.match(content)
    separator = named[1] if named else _separator(path, content)
    rows = _rows(content[named.end():] if named else content, separator, 1 if named else 0)
    header = [column.strip() for column in next(rows, (0, []))[1]]
    place = _place(header, name, content, separator, named)
    values: list[str] = []
    for line, row in rows:
        if len(row) != len(header):
            remedy = "put a text that holds the separator between double quotes" if len(row) > len(header) else "complete the row"
            raise Unreadable(f"line {line} has {len(row)} columns and the header {len(header)}: {remedy}")
        values.append(row[place])
    if not values:
        raise Unreadable("it has no row below its header")
    if all(_NUMBER.fullmatch(value) for value in values):
        raise Unreadable(f"column {name!r} holds numbers alone ({values[0]!r} in the first row), no text. Name another column")
    return values


def _place(header: Sequence[str], name: str, content: str, separator: str, named: re.Match[str] | None) -> int:
    """Number of the column of a name."""
    if header.count(name) == 1:
        return header.index(name)
    if name in header:
        raise Unreadable(f"{header.count(name)} of its columns are called {name!r}: rename all but one")
    rows = _rows(content[named.end():] if named else content, separator, 0)
    next(rows, None)
    first = next(rows, (0, []))[1]
    raise Unreadable(f"it has no column {name!r}" + suggestion(dict(zip(header, [*first, *[""] * len(header)], strict=False))))


def _separator(path: Path, content: str) -> str:
    """The character between a table's columns: a tab in .tsv; else of comma, semicolon, tab and bar the most frequent one in its header."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    header = re.sub(r'"[^"]*"', "", content[:HEAD].lstrip().partition("\n")[0])
    return max(_SEPARATORS, key=header.count)


def _rows(content: str, separator: str, before: int) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with the number of the line that each begins at, `before` lines having been read."""
    reader, line = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True), before + 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise Unreadable(f"line {line}: its double quotes do not fit ({error}). Write a quote inside a quoted text twice") from error
        if row is None:
            return
        if row:
            yield line, row
        line = before + reader.line_num + 1


def _from_parquet(path: Path, name: str) -> list[str]:
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    with TemporaryDirectory() as cache:
        try:
            table: Any = Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        except Exception as error:  # the library raises many kinds, its own and pyarrow's
            reason = str(error.__cause__ or error).strip().splitlines()
            raise Unreadable(f"it is no parquet table ({reason[0][:160] if reason else type(error).__name__})") from error
    if name not in table.column_names:
        first = table[0] if len(table) else dict.fromkeys(table.column_names, "")
        raise Unreadable(f"it has no column {name!r}{suggestion({key: value for key, value in first.items() if isinstance(value, str)})}")
    values = table[name][:]
    for number, value in enumerate(values, 1):
        if not isinstance(value, str):
            raise Unreadable(f"row {number}: column {name!r} is {value!r:.40}, no text. Remove such rows, or name another column")
    return values
