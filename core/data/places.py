"""Folders that texts and models are read from, and the rule that keeps a served process inside them. No torch.

    PRUNESCOPE_HOME      results, journals, keys; ~/.cache/prunescope by default
    PRUNESCOPE_TEXTS     texts; HOME/texts by default            PRUNESCOPE_MODELS    models; HOME/models by default
    PRUNESCOPE_TASKS     zero-shot tasks as YAML; HOME/tasks by default. Functions that they name are run: who may write there may run code
    HOME/uploads         texts that a browser sent, named by their content

The command line and Python belong to their user and read any path. A process that answers browsers is confined (`confine`): it reads
texts from PRUNESCOPE_TEXTS and HOME/uploads alone. The flag is an environment variable, so that every process it starts is confined too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.data.received import received_text
from core.spec.errors import BadInput

_CONFINED = "PRUNESCOPE_CONFINED"
_UPLOADS = "uploads"
_SUFFIXES = (".txt", ".md", ".json", ".jsonl", ".jsonlines", ".ndjson", ".csv", ".tsv", ".parquet", ".npy")
_DEPTH, _LISTED = 3, 200


def default_home() -> Path:
    """PRUNESCOPE_HOME, or ~/.cache/prunescope."""
    return Path(os.environ.get("PRUNESCOPE_HOME") or Path.home() / ".cache" / "prunescope").expanduser().absolute()


def texts_root() -> Path:
    """PRUNESCOPE_TEXTS, read at each call; HOME/texts where it is not set."""
    return _root("PRUNESCOPE_TEXTS", "texts")


def models_root() -> Path:
    """PRUNESCOPE_MODELS, read at each call; HOME/models where it is not set."""
    return _root("PRUNESCOPE_MODELS", "models")


def tasks_root() -> Path:
    """PRUNESCOPE_TASKS, read at each call; HOME/tasks where it is not set. Zero-shot tasks of one's own, as YAML over local rows."""
    return _root("PRUNESCOPE_TASKS", "tasks")


def uploads_root() -> Path:
    """The folder of texts that a browser sent."""
    return default_home() / _UPLOADS


def confine() -> None:
    """Confine this process, and every process it starts, to the folders of texts."""
    os.environ[_CONFINED] = "1"


def unconfine() -> None:
    """Let this process, which answers the user who started it and no browser, read any path again."""
    os.environ.pop(_CONFINED, None)


def confined() -> bool:
    """True if this process reads texts from their folders only."""
    return bool(os.environ.get(_CONFINED))


def locate_text(name: str, field: str) -> Path:
    """The file that `text:NAME` or `windows:NAME` means, links resolved.

    A relative name is looked for in PRUNESCOPE_TEXTS, `uploads/NAME` in HOME/uploads; where the process is not confined, in the
    current folder first, and any path is allowed. Raises BadInput (field `field`) for a name that leads elsewhere, by itself or by
    a link, without telling whether there is such a file, and for a file that does not exist.
    """
    if (received := received_text(name)) is not None:
        return received
    if not confined() and _is_file(Path(name)):
        return Path(name).resolve()
    root, place = _place(name)
    if not place.is_relative_to(root):
        if not confined():
            raise BadInput(field, name, "a file that exists", f"A relative path starts at {Path.cwd()}, else at {texts_root()}.")
        raise _outside(name, field)
    if not _is_file(place):
        raise BadInput(field, name, f"a file that exists below {texts_root()} (PRUNESCOPE_TEXTS)",
                       f"At hand there: {', '.join(list_texts()[:10]) or 'nothing'}. Copy the text there, or look at its name.")
    found = place.resolve()
    if not found.is_relative_to(root.resolve()):
        raise _outside(name, field)
    return found


def list_texts() -> tuple[str, ...]:
    """Names of the texts below PRUNESCOPE_TEXTS, up to 3 folders deep; at most 200, links that lead out of it left out."""
    root = texts_root()
    try:
        return tuple(path.relative_to(root).as_posix() for path in _files(root, _DEPTH))[:_LISTED]
    except OSError:
        return ()


def _root(variable: str, folder: str) -> Path:
    named = os.environ.get(variable)
    return Path(named).expanduser().absolute() if named else default_home() / folder


def _place(name: str) -> tuple[Path, Path]:
    """The folder a name belongs to, and its place there; nothing on disk is looked at."""
    for root, inner in ((uploads_root(), name.removeprefix(f"{_UPLOADS}/")), (texts_root(), name)):
        place = Path(os.path.normpath(root / inner))
        if place.is_relative_to(root) and (root == texts_root() or inner != name or Path(name).is_absolute()):
            return root, place
    return texts_root(), Path(os.path.normpath(texts_root() / name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a zero byte
        return False


def _files(folder: Path, depth: int) -> Iterator[Path]:
    root = texts_root().resolve()
    for entry in sorted(folder.glob("[!.]*")):
        if entry.is_dir() and depth > 1 and not entry.is_symlink():
            yield from _files(entry, depth - 1)
        elif entry.suffix.lower() in _SUFFIXES and entry.is_file() and entry.resolve().is_relative_to(root):
            yield entry


def _outside(name: str, field: str) -> BadInput:
    return BadInput(field, name, f"a file below {texts_root()} (PRUNESCOPE_TEXTS)",
                    "What a browser asks for is read from there alone, and links that lead out of it are refused. Copy the text there; "
                    "the command line reads any file.")
