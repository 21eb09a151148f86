"""Name, size and place of a pruned model's zip, known before it is written. No torch."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from core.models.sources import resolve_model
from core.spec import RunSpec
from core.spec.errors import BadInput

_REST = 32 << 20  # bytes for tokenizer, record and card
_RESERVE = 64 << 20  # bytes left free beside what is written


def archive_name(spec: RunSpec) -> str:
    """Name for a zip and the folder in it: model, method and pattern, in letters that every file system takes."""
    words = f"{spec.model}-{spec.method.name}-{spec.pattern.word}"
    return re.sub(r"[^\w.]+", "-", words, flags=re.ASCII).strip("-.")[:120] or "pruned"


def weights_bytes(spec: RunSpec) -> int:
    """Bytes of the weights, dense and pruned alike: nearly all of the zip. Raises BadInput as `resolve_model` does."""
    return resolve_model(spec.model, spec.revision).bytes


def zip_bytes(spec: RunSpec) -> int:
    """Bytes that the zip takes at most: the weights, and room for the rest. Raises BadInput as `resolve_model` does."""
    return weights_bytes(spec) + _REST


def room_bytes(spec: RunSpec) -> int:
    """Bytes that must be free while a zip is written: the folder and the zip are both there for a moment."""
    return 2 * zip_bytes(spec) + _RESERVE


def require_room(spec: RunSpec, target: Path) -> None:
    """Raises BadInput for a zip that exists, whose folder is not there or cannot be written, or for which its disk is too small."""
    place = target.absolute().parent
    if target.exists() or not place.is_dir() or not os.access(place, os.W_OK):
        raise BadInput("zip", str(target), "a file that does not exist yet, in a folder that can be written", "Choose another.")
    free, needed = shutil.disk_usage(place).free, room_bytes(spec)
    if free < needed:
        raise BadInput("zip", str(target), f"a disk with at least {needed / 1e9:.2f} GB free ({free / 1e9:.2f} GB are)",
                       "The folder and the zip are both there for a moment. Free some space, or choose another disk.")
