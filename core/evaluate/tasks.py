"""Zero-shot tasks by name: lm-eval's own, those of a folder of YAML files, and the one of the embedded text.

A name is looked for in the folder first. Of lm-eval's tasks only the folder of the one that is asked for is read: reading all takes
eight seconds. A data file in a folder's YAML is looked for beside the YAML.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from core.evaluate import embedded_task
from core.evaluate.harness import quiet
from core.evaluate.task_errors import OWN_FOLDER, broken, check_fields, line_of, unloadable, unreadable_rows
from core.evaluate.task_names import TASK_LINE
from core.spec.errors import BadInput, PruneError

_GROUP_LINE = re.compile(rb"^(?:group|tag):[ \t]*['\"]?([\w.+-]+)|^[ \t]*-[ \t]*['\"]?([\w.+-]+)['\"]?[ \t]*$",
                         re.MULTILINE)  # tags may be lists
_NOT_CONTENT = ("metadata", "custom_dataset")  # the rows are
_LOCAL = ("json", "csv", "parquet", "text")
_NAMELESS = b""  # in place of the name of a task in a broken file that tells none


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenTask:
    """A task with its examples. `content` is a sha256 over everything that decides its scores on a given model."""

    name: str
    task: Any  # lm_eval.api.task.Task
    examples: int
    available: int
    limit: int | None
    content: str


def open_tasks(names: Sequence[str], folder: Path | None = None, limit: int | None = None) -> tuple[OpenTask, ...]:
    """The tasks of these names, groups taken apart, each once; what is on the hub is downloaded.

    Raises BadInput for an unknown name (with the nearest), a broken YAML file (with its line), data out of reach, and rows without
    a field that the task reads.
    """
    if limit is not None and limit < 1:
        raise BadInput("limit", limit, "a whole number, at least 1", "Leave it out for all examples.")
    files = _own_files(folder)
    found: dict[str, Any] = {}
    with quiet():
        for name in dict.fromkeys(names):
            found |= _load(name, folder, files)
        return tuple(_opened(name, task, limit) for name, task in found.items())


def split_names(text: str) -> tuple[str, ...]:
    """Names separated by commas. Raises BadInput where there are none."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise BadInput("tasks", text, "names of tasks, separated by commas", "Name one or leave the option out.")
    return names


def _own_files(folder: Path | None) -> dict[str, Path | BadInput]:
    """Task name -> YAML file of a folder, or why that cannot be read, with its line. Raises BadInput for a folder that is not there."""
    if folder is not None and not folder.is_dir():
        raise BadInput("task_folder", str(folder), "a folder with YAML files of tasks", "Look at the path.")
    found: dict[str, Path | BadInput] = {}
    for file in sorted(folder.rglob("*.yaml")) if folder is not None else ():
        try:
            name = _checked(file).get("task")
            if isinstance(name, str):
                found.setdefault(name, file)
        except BadInput as error:  # in the way of its own tasks only
            found |= {name.decode(): error for name in TASK_LINE.findall(file.read_bytes()) or [_NAMELESS]}
    return found


def _checked(file: Path) -> dict[str, Any]:
    try:
        return load_yaml(file, resolve_func=False)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise broken(file, mark.line + 1 if mark else None, error.problem or "no YAML") from error
    except Exception as error:  # an include that is missing, a list in place of a mapping, a cycle
        raise broken(file, None, str(error)) from error


def _load(name: str, folder: Path | None, own: Mapping[str, Path | BadInput]) -> dict[str, Any]:
    """lm-eval's Task objects behind a name. A group or a tag of lm-eval's needs its whole index."""
    asked: list[Any]
    file = own.get(name)
    if isinstance(file, BadInput):
        raise file
    file = file or (lm_eval_files().get(name) if name != embedded_task.NAME else None)
    if file is None and name == embedded_task.NAME:
        manager, asked = TaskManager(include_defaults=False), [embedded_task.task_config()]
    elif file is not None:
        manager, asked = TaskManager(include_defaults=False), [_config(file, name, local=name in own)]
    else:
        manager = _whole_index(name, folder, own)
        asked = [name]
    try:
        return manager.load(asked)["tasks"]
    except PruneError:
        raise
    except Exception as error:  # templates, functions and data sets fail in as many ways as there are tasks
        raise (unreadable_rows(asked[0]) if file else None) or unloadable(name, file, error) from error


def _whole_index(name: str, folder: Path | None, own: Mapping[str, Path | BadInput]) -> TaskManager:
    """The index with all of lm-eval's groups. Raises BadInput, with the nearest names, where no group can have this name."""
    manager = TaskManager(include_path=str(folder), include_defaults=False) if folder else None
    if manager is not None and name in manager.all_tasks:
        return manager
    if name in lm_eval_groups():
        manager = TaskManager(include_path=str(folder) if folder else None)
        if name in manager.all_tasks:
            return manager
    nameless = own.get(_NAMELESS.decode())
    if isinstance(nameless, BadInput):
        raise nameless
    if folder is not None and not own:
        raise BadInput("task_folder", str(folder), f"a folder with a YAML file of the task {name}", "No .yaml file in it names a task.")
    near = get_close_matches(name, [*own, embedded_task.NAME, *lm_eval_files()], n=3)
    raise BadInput("tasks", name, f"perhaps {', '.join(near)}" if near else "a task that lm-eval has, or one of a task folder",
                   f"Names are those of `lm-eval ls tasks`; own tasks are YAML files{OWN_FOLDER}.")


def _config(file: Path, name: str, *, local: bool) -> dict[str, Any]:
    try:
        config = load_yaml(file, resolve_func=True)
    except Exception as error:  # a !function that cannot be imported
        raise broken(file, line_of(file, "!function"), str(error)) from error
    for key in ("tag", "group", "task_list"):
        config.pop(key, None)
    if local:
        _resolve_data_files(config, file)
    return {**config, "task": name}


def _resolve_data_files(config: dict[str, Any], file: Path) -> None:
    """Relative data files: beside the YAML, unless they are there as written. Raises BadInput for one that is missing."""
    keywords = config.get("dataset_kwargs") or {}
    places = keywords.get("data_files")
    if places is None or config.get("dataset_path") not in _LOCAL:
        return
    by_split = dict(places) if isinstance(places, Mapping) else {"train": places}
    for split, path in by_split.items():
        if not isinstance(path, str) or "://" in path or "*" in path:
            continue
        beside = path if Path(path).is_absolute() or Path(path).is_file() else str(file.parent / path)
        if not Path(beside).is_file():
            raise broken(file, line_of(file, path), f"There is no file {beside}")
        by_split[split] = beside
    config["dataset_kwargs"] = {**keywords, "data_files": by_split}


@cache
def lm_eval_files() -> dict[str, Path]:
    """Name -> YAML file of every task that lm-eval brings; two seconds the first time."""
    return {name.decode(): file for file in _yaml_files() for name in TASK_LINE.findall(file.read_bytes())}


def _yaml_files() -> list[Path]:
    return sorted(Path(str(metadata.distribution("lm_eval").locate_file("lm_eval/tasks"))).rglob("*.yaml"))


@cache
def lm_eval_groups() -> frozenset[str]:
    """Names that may be groups or tags of lm-eval's: those of groups and tags, and some more."""
    return frozenset(part.decode() for file in _yaml_files() for pair in _GROUP_LINE.findall(file.read_bytes()) for part in pair if part)


def _opened(name: str, task: Any, limit: int | None) -> OpenTask:
    docs = task.eval_docs
    available = len(docs)
    count = min(limit or available, available)
    if not count:
        raise BadInput("tasks", name, "a task with examples", "Its split is empty.")
    rows = [docs[index] for index in range(count)]
    check_fields(name, task, rows)
    config = {key: value for key, value in task.dump_config().items() if not key.startswith("dataset_") and key not in _NOT_CONTENT}
    shots = int(config.get("num_fewshot") or 0)
    parts = {"lm_eval": metadata.version("lm_eval"), "version": str(task.VERSION), "config": config, "rows": rows,
             "examples shown": list(task.fewshot_docs() or ()) if shots else []}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return OpenTask(name=name, task=task, examples=count, available=available, limit=limit if count < available else None,
                    content=hashlib.sha256(text.encode()).hexdigest())
