"""Limits of a model's folder: no link that leads out of it, no more files and parts than a model has. No torch."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from core.data.places import models_root
from core.spec.errors import BadInput

Origin = Literal["demo", "folder", "hub"]
ALLOWED = "demo, a folder below PRUNESCOPE_MODELS, or a hub id such as owner/name"
MAX_ENTRIES = 10_000  # of a model's folder, nested ones included
MAX_JSON = 64 << 20  # bytes of a configuration or an index
MAX_BLOCKS, MAX_PARTS, MAX_NUMBER = 2_000, 200_000, 1 << 27  # blocks; blocks × experts; any other count or size
_COUNTED = re.compile(r"size|dim|^num_|^n_|layers|experts|heads|vocab|embd|inner|width")


def refused(name: str, why: str) -> BadInput:
    """A model that cannot be used."""
    return BadInput("model", name, ALLOWED, why)


def read_json(name: str, file: Path) -> dict[str, Any]:
    """The JSON object in a file of the model `name`. Raises BadInput where there is none, or where it is larger than MAX_JSON."""
    if file.is_file() and file.stat().st_size > MAX_JSON:
        raise refused(name, f"Its {file.name} is larger than {MAX_JSON >> 20} MiB.")
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")).items())
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise refused(name, f"Its {file.name} holds no JSON object that can be read ({error!r:.200}).") from error


def check_links(name: str, origin: Origin, path: Path) -> None:
    """Raise BadInput for a file or folder, at any depth, that is a link out of PRUNESCOPE_MODELS, or of the cache of the hub.

    A snapshot of the hub consists of links into its own cache. Any file could be read by a tokenizer or by a loader.
    """
    root, place = (path.parents[2].resolve(), "the hub's cache") if origin == "hub" else (models_root().resolve(), "PRUNESCOPE_MODELS")
    pending, seen, count = [path.resolve()], set[Path](), 0
    root = root if pending[0].is_relative_to(root) else pending[0]
    while pending:
        folder = pending.pop()
        seen.add(folder)
        for entry in _entries_of(name, folder):
            count += 1
            target = _target(entry)
            if target is None or not target.is_relative_to(root):
                raise refused(name, f"Its {entry.name} is a link out of {place}; put the file itself there.")
            if entry.is_dir() and target not in seen:
                pending.append(target)
            if count > MAX_ENTRIES:
                raise refused(name, f"Its folder holds more than {MAX_ENTRIES:,} files; keep only those of the model.")


def _entries_of(name: str, folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(islice(entries, MAX_ENTRIES + 1))
    except OSError as error:
        raise refused(name, f"{folder} cannot be read ({error.strerror}).") from error


def _target(entry: os.DirEntry[str]) -> Path | None:
    """Target of an entry; None for a loop of links."""
    try:
        return Path(entry.path).resolve() if entry.is_symlink() else Path(entry.path)
    except (OSError, RuntimeError):
        return None


def check_claims(name: str, config: dict[str, Any], blocks: int) -> None:
    """Raise BadInput for a configuration whose model could not even be laid out: building a structure takes time for each part."""
    numbers = dict(_numbers(config))
    largest = max(numbers, key=lambda key: numbers[key], default="")
    experts = max((value for key, value in numbers.items() if "expert" in key), default=0)
    if blocks > MAX_BLOCKS or blocks * experts > MAX_PARTS:
        claimed = f"{blocks:,} blocks" + (f" of {experts:,} experts" if experts else "")
        raise refused(name, f"Its config.json claims {claimed}; at most {MAX_BLOCKS:,} blocks and {MAX_PARTS:,} experts in all are read.")
    if largest and numbers[largest] > MAX_NUMBER:
        raise refused(name, f"Its config.json says {largest[:40]} = {numbers[largest]:.3g}, which no model has.")


def _numbers(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Whole numbers of a configuration and of the configurations in it that say how many of something there are."""
    for view in (config, *(value for value in config.values() if isinstance(value, dict))):
        for key, value in view.items():
            if type(value) is int and _COUNTED.search(str(key)):
                yield str(key), value
