"""Model names: the demo, a folder below PRUNESCOPE_MODELS, or a hub id. No torch.

    resolve_model(name)  ->  ModelSource(path, revision, ...)        list_models()   unusable_models()
    model_revision(name), describe_model(name)                       before a hub model's weights are here
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from core.data.places import models_root
from core.data.received import received_model
from core.demo import MODEL
from core.models.folders import ModelSource, Origin, inspect_folder, refused
from core.spec.base import FrozenModel
from core.spec.errors import BadInput, PruneError
from core.spec.run import check_model_name

__all__ = ["ModelSource", "UnusableModel", "describe_model", "list_models", "model_revision", "resolve_model", "unusable_models"]

_DEPTH = 3
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,63}", re.ASCII)
_CONFIGURATION = ["*.json", "*.model", "*.tiktoken", "tokenizer.model.*", "merges.txt", "vocab.txt", "*.jinja", "LICENSE*", "NOTICE*",
                  "README.md"]


class UnusableModel(FrozenModel):
    """A model that is there and cannot be used, and why."""

    name: str
    reason: str


def resolve_model(name: str, revision: str | None = None, *, download: bool = False) -> ModelSource:
    """The model that `name` means. `revision`: branch, tag or commit of a hub model; for others the start of their content address.

    Order: "demo"; a folder below PRUNESCOPE_MODELS (read at each call); a hub snapshot in the local cache; the hub, if `download`.
    Raises BadInput (field "model" or "revision") for names that could leave the folder, for models that are not at hand, and for
    folders without a configuration, without safetensors, with a broken header, or that would need code of their own.
    """
    check_model_name(name)
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise BadInput("revision", revision, "a branch, tag or commit", "Leave it out for the default branch.")
    if (received := received_model(name)) is not None:
        return inspect_folder(name, *received)
    folder = MODEL if name == "demo" else _folder(name)
    if folder is None:
        if not _HUB_ID.fullmatch(name):
            raise refused(name, f"There is no such folder. {_at_hand()}")
        return _from_hub(name, revision, download=download)
    source = inspect_folder(name, "demo" if name == "demo" else "folder", folder)
    if revision is not None and not source.revision.startswith(revision):
        raise BadInput("revision", revision, f"{source.revision[:12]} for this model, or nothing",
                       f"{name} is no hub model: its revision is what its files hold now.")
    return source


def model_revision(name: str, revision: str | None = None) -> str:
    """The content address of a model. Of a hub model whose weights are not here, the commit that the hub names; nothing is loaded."""
    try:
        return resolve_model(name, revision).revision
    except BadInput:
        if not _only_on_hub(name):
            raise
    from huggingface_hub import HfApi

    try:
        return str(HfApi().model_info(name, revision=revision, timeout=5).sha)
    except Exception as error:  # whatever the network client of the day raises: to the caller the model is out of reach
        raise _out_of_reach(name, revision, f"The hub did not name it: {error!r:.200}.") from error


def describe_model(name: str, revision: str | None = None) -> ModelSource:
    """As `resolve_model`; of a hub model whose weights are not here, what its configuration says, which is fetched."""
    try:
        return resolve_model(name, revision)
    except BadInput:
        if not _only_on_hub(name):
            raise
    path = _snapshot(name, revision, _CONFIGURATION, local=False)
    if isinstance(path, Exception):
        raise _out_of_reach(name, revision, f"The hub did not give it: {path!r:.200}.") from path
    return inspect_folder(name, "hub", path, weights_needed=False)


def list_models() -> tuple[ModelSource, ...]:
    """Every model at hand: the demo, folders up to 3 deep below PRUNESCOPE_MODELS, hub snapshots in the local cache.

    The revision of a large model whose weights were not read yet is empty: listing models reads no weights.
    """
    return tuple(item for item in _survey() if isinstance(item, ModelSource))


def unusable_models() -> tuple[UnusableModel, ...]:
    """Folders that look like models and cannot be used; `list_models` leaves these out."""
    return tuple(item for item in _survey() if isinstance(item, UnusableModel))


def _survey() -> Iterator[ModelSource | UnusableModel]:
    if os.environ.get("PRUNESCOPE_MODELS") and not models_root().is_dir():
        yield UnusableModel(name="PRUNESCOPE_MODELS", reason=f"{models_root()} is no folder.")
    for name, (origin, path) in _places().items():
        try:
            check_model_name(name)
            yield inspect_folder(name, origin, (_folder(name) or path) if origin == "folder" else path, at_any_cost=False)
        except (PruneError, OSError) as error:
            yield UnusableModel(name=name, reason=str(error))


def _places() -> dict[str, tuple[Origin, Path]]:
    """Name -> where a model may be, unopened. Where names collide, the demo comes before folders and these before the hub."""
    found: dict[str, tuple[Origin, Path]] = {name: ("hub", path) for name, path in _hub_snapshots()}
    root = models_root()
    found |= {path.relative_to(root).as_posix(): ("folder", path) for path in _model_folders(root, _DEPTH)}
    return {"demo": ("demo", MODEL), **{name: found[name] for name in sorted(found) if name != "demo"}}


def _model_folders(folder: Path, depth: int) -> Iterator[Path]:
    for entry in sorted(folder.glob("[!.]*/")):
        if (entry / "config.json").exists() or any(entry.glob("*.safetensors")):
            yield entry
        elif depth > 1 and not entry.is_symlink():
            yield from _model_folders(entry, depth - 1)


def _folder(name: str) -> Path | None:
    """The folder of this name below PRUNESCOPE_MODELS, links resolved. Raises BadInput for one that leads out of it."""
    root = models_root()
    try:
        if not (root / name).is_dir():
            return None
        folder = (root / name).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # too long a name, a loop of links
        return None
    if not folder.is_relative_to(root.resolve()):
        raise refused(name, "This folder is a link out of PRUNESCOPE_MODELS; put the model itself there.")
    return folder


def _at_hand() -> str:
    names = [name for name, (_, path) in _places().items() if (path / "config.json").is_file()]
    unset = "" if os.environ.get("PRUNESCOPE_MODELS") else "not set: models are looked for in "
    return f"PRUNESCOPE_MODELS is {unset}{models_root()}. At hand: {', '.join(names) or 'nothing'}."


def _only_on_hub(name: str) -> bool:
    return name != "demo" and bool(_HUB_ID.fullmatch(name)) and _folder(name) is None


def _from_hub(name: str, revision: str | None, *, download: bool) -> ModelSource:
    """A snapshot: the local cache first, then the hub where allowed."""
    why = "There is no such folder, and the local hub cache does not have it."
    for local in (True, False) if download else (True,):
        path = _snapshot(name, revision, [*_CONFIGURATION, "*.safetensors"], local=local)
        if isinstance(path, Exception):
            why = why if local else f"The hub did not give it: {path!r:.200}."
            continue
        try:
            return inspect_folder(name, "hub", path)
        except BadInput:
            if not (local and download):
                raise
    raise _out_of_reach(name, revision, why)


def _snapshot(name: str, revision: str | None, patterns: list[str], *, local: bool) -> Path | Exception:
    """The folder of a snapshot, or why there is none. huggingface_hub is imported here and not before."""
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=local, allow_patterns=patterns,
                                      ignore_patterns=["*/*", "consolidated*"]))
    except Exception as error:  # whatever the network client of the day raises: to the caller the model is out of reach
        return error


def _out_of_reach(name: str, revision: str | None, why: str) -> BadInput:
    get = f"hf download {name}" + (f" --revision {revision}" if revision else "")
    return refused(name, f"{why} Get it with `{get}`, or copy its folder below PRUNESCOPE_MODELS. {_at_hand()}")


def _hub_snapshots() -> Iterator[tuple[str, Path]]:
    """Hub ids in the local cache with the snapshot of the default branch, else the newest, that has a configuration."""
    from huggingface_hub import constants

    for repository in Path(constants.HF_HUB_CACHE).glob("models--*--*"):
        name, main = "/".join(repository.name.split("--")[1:]), repository / "refs" / "main"
        snapshots = [path for path in repository.glob("snapshots/*") if (path / "config.json").is_file()]
        commit = main.read_text(errors="replace").strip() if main.is_file() else ""
        if snapshots and _HUB_ID.fullmatch(name):
            yield name, max(snapshots, key=lambda path: (path.name == commit, path.stat().st_mtime_ns))


