"""Files of a model's folder that pruning does not change, carried over to the pruned model's folder.

Carried: configuration, generation settings, tokenizer, chat templates, processors' settings, license; other JSON and text. The dense
model's card becomes README.dense.md, since its numbers are not the pruned model's.
Not carried: weights, pickles, code, records of training and evaluation, hidden files, what is no plain file.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from core.models.folder_limits import MAX_JSON, check_links
from core.models.folders import ModelSource
from core.models.weight_files import ADAPTER

CARD_OF_DENSE = "README.dense.md"
TEMPLATES = "additional_chat_templates"  # the only folder below a model's that is carried
_CARRIED = {".json", ".jinja", ".model", ".txt", ".tiktoken", ".md", ".vocab", ".bpe", ".spm", ".v3"}
_LICENSE = re.compile(r"(licen[cs]e|notice|copying|use_policy)\b.*", re.IGNORECASE)
_LEFT = re.compile(r".*\.index\.json|.*_results\.json|trainer_state\.json|requirements.*\.txt|prunescope\.json|recipe\.json|"
                   + re.escape(ADAPTER))
_WRITTEN = {"readme.md": CARD_OF_DENSE}


def carry_over(source: ModelSource, index: str | None, folder: Path) -> list[str]:
    """Copy what pruning does not change; returns the names. `index`: the index of the weight files, where they have one.

    Links are followed, none leads out of the folder of models (BadInput). References to code of the model's own (auto_map), which is
    not carried, are taken out.
    """
    if source.origin != "demo":
        check_links(source.name, source.origin, source.path)
    names: list[str] = []
    for file in _carried(source.path, index):
        name = _WRITTEN.get(file.name.lower(), file.name)
        target = folder / file.relative_to(source.path).with_name(name)
        target.parent.mkdir(exist_ok=True)
        _copy(file, target)
        names.append(target.relative_to(folder).as_posix())
    return names


def _carried(path: Path, index: str | None) -> Iterator[Path]:
    for file in sorted(path.iterdir()):
        if not file.is_file() or file.name.startswith("."):
            continue
        known = file.suffix.lower() in _CARRIED and not _LEFT.fullmatch(file.name)
        if (known or file.name == index or _is_license(file)) and not _is_pickle(file):
            yield file
    yield from sorted(file for file in (path / TEMPLATES).glob("[!.]*.jinja") if file.is_file())


def _is_pickle(file: Path) -> bool:
    """True for a pickle or an archive that may hold one, whatever its name."""
    with file.open("rb") as stream:
        first = stream.read(4)
    return first.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x1f\x8b", b"PK\x03\x04"))


def _is_license(file: Path) -> bool:
    return bool(_LICENSE.fullmatch(file.name)) and file.suffix.lower() in ("", ".txt", ".md", ".pdf")


def _copy(file: Path, target: Path) -> None:
    """A copy of the content alone: no mode, no link. A JSON object that names code loses that name and nothing else."""
    if file.suffix == ".json" and file.stat().st_size <= MAX_JSON and (words := _without_code(file)) is not None:
        target.write_text(json.dumps(words, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        shutil.copyfile(file, target)


def _without_code(file: Path) -> dict[str, Any] | None:
    """The object without auto_map, or None where it has none or is no object."""
    content = file.read_bytes()
    if b'"auto_map"' not in content:
        return None
    try:
        words = json.loads(content)
    except ValueError:
        return None
    if not isinstance(words, dict):
        return None
    return {key: value for key, value in cast("dict[str, Any]", words).items() if key != "auto_map"}
