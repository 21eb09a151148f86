"""Words for tasks that cannot be used: broken YAML with its line, data out of reach, rows without a field."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta

from core.spec.errors import BadInput

OWN_FOLDER = ": in a folder named by --task-folder, in the app below PRUNESCOPE_TASKS"
_TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice")


def broken(file: Path, line: int | None, why: str) -> BadInput:
    """A YAML file that cannot be used, with its line where it is known."""
    where = f"{file}, line {line}" if line else str(file)
    start = why[:1] if why.startswith("lm-eval") else why[:1].upper()
    return BadInput("task_folder", where, "YAML that lm-eval reads", f"{start}{why[1:]}.".replace("..", "."))


def unloadable(name: str, file: Path | None, error: Exception) -> BadInput:
    """A task that lm-eval could not build from its description, by the kind of error."""
    where = f"{name} ({file})" if file else name
    said = f"{type(error).__name__}: {str(error).strip()[:400]}"
    if isinstance(error, (ConnectionError, TimeoutError)) or "Hub" in str(error) or "offline" in str(error).lower():
        return BadInput("tasks", name, "a task whose data are at hand", f"The hub did not give its data ({said}). Connect this machine, "
                        f"or describe the task by YAML over local rows{OWN_FOLDER}.")
    if isinstance(error, jinja2.UndefinedError):
        return BadInput("tasks", where, "templates that name fields of the rows", f"A row lacks a field: {error}.")
    if isinstance(error, IndexError):
        return BadInput("tasks", f"{where}, row 1", "right answers that number one of a row's choices, counted from 0",
                        "This row's does not: look at its doc_to_target and doc_to_choice.")
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unknown and file is not None:
        return broken(file, line_of(file, unknown[1]), f"lm-eval knows no key {unknown[1]!r}")
    return BadInput("tasks", where, "a task that lm-eval can load", f"lm-eval says: {said}.")


def unreadable_rows(config: Mapping[str, Any]) -> BadInput | None:
    """The first of a task's local JSON files that holds no rows, with the line where it is no JSON; None where all can be read."""
    places = (config.get("dataset_kwargs") or {}).get("data_files") if config.get("dataset_path") == "json" else None
    for file in places.values() if isinstance(places, Mapping) else ():
        if not isinstance(file, str) or not Path(file).is_file():
            continue
        text = Path(file).read_text(encoding="utf-8", errors="replace")
        if not text.strip():
            return BadInput("tasks", file, "a file with a JSON object a line", "It is empty.")
        try:
            json.loads(text)
        except json.JSONDecodeError:
            for number, line in enumerate(text.splitlines(), 1):
                why = _json_error(line)
                if why:
                    return BadInput("tasks", f"{file}, line {number}", "a file with a JSON object a line", f"This line has none: {why}.")
    return None


def _json_error(line: str) -> str:
    try:
        row = json.loads(line) if line.strip() else {}
    except json.JSONDecodeError as error:
        return f"{error.msg}, column {error.colno}"
    return "" if isinstance(row, dict) else f"it is a {type(row).__name__}"  # pyright: ignore[reportUnknownArgumentType]


def line_of(file: Path, text: str) -> int | None:
    """The first line of a file that holds a text."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((number for number, line in enumerate(lines, 1) if text in line), None)


def check_fields(name: str, task: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """Raises BadInput for a field that a template names and a row does not have, which lm-eval takes for plain text."""
    fields: set[str] = set()
    for template in (getattr(task.config, key, None) for key in _TEMPLATES):
        if isinstance(template, str):
            fields |= {template} if template.isidentifier() else jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(template))
    for number, row in enumerate(rows, 1):
        for field in sorted(fields):
            if row.get(field) is None:
                raise BadInput("tasks", f"{name}, row {number}", f"rows with the fields {', '.join(sorted(fields))}",
                               f"This row has no {field!r}; it has {', '.join(key for key, value in row.items() if value is not None)}.")
