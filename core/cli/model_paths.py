"""`--model` as a path: the command line reads any folder. No torch.

A run names its model by a word below PRUNESCOPE_MODELS, so that its record means the same elsewhere. A path is therefore read as
PRUNESCOPE_MODELS and a word: `--model /data/llama` as PRUNESCOPE_MODELS=/data with `--model llama`, in this process and those it starts.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.data.places import models_root
from core.spec.errors import BadInput

_STARTS = ("/", "./", "../", "~")


def word_of_path(model: str) -> str:
    """The word for a folder given by its path, with PRUNESCOPE_MODELS set to the folder it is in; any other word as it is.

    A path begins with /, ./, ../ or ~, or is a folder in the current one and none below PRUNESCOPE_MODELS. Raises BadInput (field
    "model") for a path without a folder.
    """
    path = Path(model).expanduser()
    is_path = model in (".", "..") or model.startswith(_STARTS) or os.path.isabs(model)
    if not is_path and (model == "demo" or (models_root() / model).is_dir() or not path.is_dir()):
        return model
    if not path.is_dir():
        raise BadInput("model", model, "a folder that exists, with config.json, a tokenizer and *.safetensors",
                       f"A relative path starts at {Path.cwd()}. Other words are looked for below {models_root()}, then on the hub.")
    folder = path.absolute().resolve()
    if not folder.is_relative_to(models_root()) or folder == models_root():
        os.environ["PRUNESCOPE_MODELS"] = str(_root(folder))
    return folder.relative_to(models_root()).as_posix()


def _root(folder: Path) -> Path:
    """The folder's parent, or the first above it that holds what the folder's links lead to, as in the hub's cache.

    A folder named demo is named with its parent, as the word alone means the demo model.
    """
    parent = folder.parent.parent if folder.name == "demo" else folder.parent
    links = [entry.resolve() for entry in folder.rglob("*") if entry.is_symlink()]
    return Path(os.path.commonpath([parent, *(link.parent for link in links)]))
