"""A model's folder on disk: what its configuration and safetensors headers say, and its content address. No torch.

Only configurations and headers are read; a model's own code never runs; nothing but safetensors counts as weights.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.data.digests import LARGE, digest, remembered, require_read
from core.data.files import Stamp, stamp
from core.models.folder_limits import MAX_JSON, Origin, check_claims, check_links, refused
from core.spec.base import FrozenModel

_ADDRESSED = ("config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
              "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "model.safetensors.index.json")
_OTHER_WEIGHTS = {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx"}
_MIB = 1 << 20
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class ModelSource(FrozenModel):
    """A model that can be loaded from `path`. `revision` is its content address: a hub commit, or sha256 over its files."""

    name: str
    origin: Origin
    path: Path
    revision: str
    architecture: str
    family: str
    context: int  # tokens; 2048 where config.json is silent
    hidden: int
    blocks: int
    parameters: int  # as stored: tied weights once
    bytes: int
    dtype: str  # of most of the weights


def inspect_folder(name: str, origin: Origin, path: Path, *, weights_needed: bool = True, at_any_cost: bool = True) -> ModelSource:
    """Read a folder's configuration and headers. Raises BadInput for one that cannot be loaded as it stands.

    Without `weights_needed` the configuration is enough; parameters and bytes are then 0. The content address needs every weight file
    read once: where that would take long and is not wanted `at_any_cost`, the revision is empty.
    """
    if not (path / "config.json").is_file():
        raise refused(name, "The demo model is not here yet: run `make demo-model`." if origin == "demo" else
                       "Its folder has no config.json; copy the whole Hugging Face folder, not only the weights.")
    if origin != "demo":
        check_links(name, origin, path)
    config = _json(name, path / "config.json")
    family, known = config.get("model_type"), known_families()
    if not isinstance(family, str) or (known and family not in known):
        code = " It would need code of its own (auto_map), and code from model folders never runs." if "auto_map" in config else ""
        raise refused(name, f"Its model_type {family!r} is no causal language model that the installed transformers knows.{code}")
    if (path / "adapter_config.json").is_file():  # transformers would load the base model that this file names, from wherever it is
        raise refused(name, "It holds adapter files (adapter_config.json); merge the adapter into its model, and save that alone.")
    if "quantization_config" in config:
        raise refused(name, "It is quantised (quantization_config); pruning needs the weights it was made from.")
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    blocks = _number(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    if not hidden or not blocks:
        raise refused(name, "Its config.json does not say how wide it is and how many blocks it has.")
    check_claims(name, config, blocks)
    weights = _weight_files(name, path) if weights_needed else []
    try:
        counts = sum((_entries(stamp(file)) for file in weights), Counter[str]())
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise refused(name, f"A weight file is no whole safetensors file ({error!r:.200}); copy or download it again.") from error
    dtype = counts.most_common(1)[0][0] if counts else str(config.get("dtype") or config.get("torch_dtype") or "float32")
    architectures = config.get("architectures")
    return ModelSource(
        name=name, origin=origin, path=path, revision=_revision(origin, path, weights, at_any_cost=at_any_cost),
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "", family=family,
        context=_number(config, "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length") or 2048,
        hidden=hidden, blocks=blocks, parameters=counts.total(), bytes=sum(file.stat().st_size for file in weights),
        dtype=_DTYPES.get(dtype, dtype))


@lru_cache(maxsize=1)
def known_families() -> frozenset[str]:
    """The model types transformers has a causal language model for, read from its table as text: importing it loads torch."""
    spec = importlib.util.find_spec("transformers")
    tables = [Path(place) / "models/auto/modeling_auto.py" for place in (spec and spec.submodule_search_locations) or ()]
    text = tables[0].read_text(encoding="utf-8") if tables and tables[0].is_file() else ""
    _, _, rest = text.partition("\nMODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
    return frozenset(re.findall(r"\(\s*\"([^\"]+)\",", rest.partition("\n)\n")[0]))


def _weight_files(name: str, path: Path) -> list[Path]:
    """The safetensors files that transformers would load: model.safetensors, or all that its index names."""
    names, index = ["model.safetensors"], path / "model.safetensors.index.json"
    if not (path / names[0]).is_file():
        if not index.is_file():
            others = ", ".join(sorted(file.name for file in path.iterdir() if file.suffix in _OTHER_WEIGHTS)[:3])
            raise refused(name, f"Only safetensors are read; it has {others or 'no weights'}. To convert a model you trust: "
                           "transformers.AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW).")
        places = _json(name, index).get("weight_map")
        names = sorted({str(file) for file in places.values()}) if isinstance(places, dict) else []
        if not names or any("/" in file or not file.endswith(".safetensors") for file in names):
            raise refused(name, f"Its {index.name} does not name plain safetensors files.")
    missing = [file for file in names if not (path / file).is_file()]
    if missing:
        raise refused(name, f"{len(missing)} of its {len(names)} weight files are missing ({missing[0]}); finish the download.")
    return [path / file for file in names]


def _json(name: str, file: Path) -> dict[str, Any]:
    if file.is_file() and file.stat().st_size > MAX_JSON:
        raise refused(name, f"Its {file.name} is larger than {MAX_JSON >> 20} MiB.")
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")).items())
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise refused(name, f"Its {file.name} holds no JSON object that can be read ({error!r:.200}).") from error


@lru_cache(maxsize=4096)
def _entries(known: Stamp) -> Counter[str]:
    """Entries by dtype, from a safetensors header, which must fit the file's size."""
    counts, end, file, size = Counter[str](), 0, known.path, known.size
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, 100 * _MIB):
            raise ValueError(f"{Path(file).name}: its header does not fit; a Git LFS pointer perhaps?")
        header = json.loads(stream.read(length))
    for tensor in (value for key, value in header.items() if key != "__metadata__"):
        counts[tensor["dtype"]] += math.prod(tensor["shape"])
        end = max(end, tensor["data_offsets"][1])
    if 8 + length + end != size or not counts:
        raise ValueError(f"{Path(file).name}: it should have {8 + length + end:,} bytes and has {size:,}")
    return counts


def model_files(source: ModelSource) -> list[Path]:
    """All files that decide what a model computes: weights, configuration, tokenizer. Raises BadInput where they are not whole."""
    return _addressed_files(source.path, _weight_files(source.name, source.path))


def _unread(path: Path, weights: list[Path]) -> list[Stamp]:
    """The large files that must be read before the content address is known."""
    stamps = [stamp(file) for file in _addressed_files(path, weights)]
    return [known for known in stamps if known.size > LARGE and remembered(known) is None]


def _addressed_files(path: Path, weights: list[Path]) -> list[Path]:
    return [file for file in (*weights, *(path / name for name in _ADDRESSED)) if file.is_file()]


def _revision(origin: Origin, path: Path, weights: list[Path], *, at_any_cost: bool) -> str:
    if origin == "hub":
        return path.name
    return _content_address(path, weights) if at_any_cost or not _unread(path, weights) else ""


def _content_address(path: Path, weights: list[Path]) -> str:
    """sha256 over (name, sha256) of the files that decide what the model computes, whole. One read, remembered until a file changes."""
    require_read(_unread(path, weights))
    files = {file.name: file for file in _addressed_files(path, weights)}
    lines = [f"{name}\0{digest(stamp(files[name]))}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _number(config: dict[str, Any], *keys: str) -> int:
    """The first of these keys that config.json, or the text_config in it, gives a positive whole number; else 0."""
    views = [view for view in (config, config.get("text_config")) if isinstance(view, dict)]
    found = (view[key] for view in views for key in keys if key in view)
    return next((value for value in found if type(value) is int and value > 0), 0)
