"""A pruned model to take away: its folder with model card and recipe, or that folder as one zip file.

    write_model(result, weights, folder)      safetensors, tokenizer, prunescope.json (core/export/folder.py), README.md, recipe.json
    write_zip(result, weights, target)        the same in a zip, stored: trained weights do not deflate, and a copy is as fast as the disk
"""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.export.card import CARD, RECIPE, model_card, recipe
from core.export.folder import save_checkpoint
from core.export.room import require_room
from core.linalg.cancellation import check_cancelled
from core.models.placement import Streaming
from core.models.sources import resolve_model
from core.records import RunResult
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

Report = Callable[[str, float], None]  # what is being done, and the share of it that is done
_CHUNK = 8 << 20  # bytes
_OLDEST = time.mktime((1980, 1, 2, 0, 0, 0, 0, 0, 0))  # zip's calendar begins there
_PART = ".unfinished"


def write_model(result: RunResult, weights: Mapping[str, Tensor], folder: Path, *, written: Collection[str] = (),
                streaming: Streaming | None = None, limit: int | None = None) -> RunResult:
    """Write the pruned model of `result` into an empty folder, with README.md and recipe.json; takes, returns and raises as
    `save_checkpoint`."""
    source = resolve_model(result.spec.model, result.spec.revision)
    return save_checkpoint(result, weights, folder, written=written, streaming=streaming, limit=limit,
                           beside=lambda checked: {RECIPE: recipe(checked), CARD: model_card(checked, source)})


def write_zip(result: RunResult, weights: Mapping[str, Tensor], target: Path, report: Report = lambda words, share: None, *,
              name: str | None = None, streaming: Streaming | None = None) -> RunResult:
    """Write the pruned model of `result` as the zip file `target`, whole or not at all; returns the record with its `export`.

    Needs twice the checkpoint's bytes beside `target` while it is being written. The zip has one folder, `name` or else as `target` is
    named. Raises BadInput where the disk lacks them or the file cannot be written, InputChanged as `save_checkpoint` does, Cancelled.
    """
    require_room(result.spec, target)
    part = target.with_name(f".{target.name}{_PART}")
    folder = target.with_name(f".{target.name}{_PART}-folder")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        report("Writing the model's folder", 0.0)
        result = write_model(result, weights, folder, streaming=streaming)
        _pack(folder, part, name or target.stem, result.environment.started, lambda share: report("Packing the folder", share))
        part.replace(target)
    except OSError as error:
        raise BadInput("zip", str(target), "a file that can be written", f"{error.strerror or error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        part.unlink(missing_ok=True)
    return result


def _pack(folder: Path, target: Path, name: str, moment: float, report: Callable[[float], None]) -> None:
    """All files of a folder into a zip, stored; each is removed when it is in it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    total = sum(file.stat().st_size for file in files) or 1
    done = 0
    when = time.gmtime(max(moment, _OLDEST))[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{name}/{file.relative_to(folder).as_posix()}", when)
            entry.external_attr = 0o644 << 16
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=file.stat().st_size >= 1 << 30) as out:
                while chunk := source.read(_CHUNK):
                    check_cancelled()
                    out.write(chunk)
                    done += len(chunk)
                    report(done / total)
            file.unlink()
