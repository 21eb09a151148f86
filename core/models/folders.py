"""A model's folder on disk: what its configuration and safetensors headers say, and its content address. No torch.

Only configurations and headers are read; a model's own code never runs; nothing but safetensors counts as weights.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.data.digests import LARGE, digest, remembered, require_read
from core.data.files import Stamp, stamp
from core.models.folder_limits import Origin, check_claims, check_links, read_json, refused
from core.models.weight_files import (
    ADAPTER,
    FLOATS,
    adapter_alone,
    entries,
    notes_on,
    opened_first,
    refuse_other_models,
    tensors_in,
    weight_files,
)
from core.spec.base import FrozenModel

_ADDRESSED = ("config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
              "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "model.safetensors.index.json")
_TABLES = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")
_WIDTHS = ("hidden_size", "n_embd", "d_model", "emb_dim", "embed_dim")
_BLOCKS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers", "num_decoder_layers", "layers")
_QUANTIZED = ("quantization_config", "quantization", "compression_config")  # of transformers, of MLX, of older compressed-tensors


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
    notes: tuple[str, ...] = ()  # sentences on weights in the folder that are not opened


def inspect_folder(name: str, origin: Origin, path: Path, *, weights_needed: bool = True, at_any_cost: bool = True) -> ModelSource:
    """Read a folder's configuration and headers. Raises BadInput for one that cannot be loaded as it stands.

    Without `weights_needed` the configuration is enough; parameters and bytes are then 0. The content address needs every weight file
    read once: where that would take long and is not wanted `at_any_cost`, the revision is empty.
    """
    if not (path / "config.json").is_file():
        raise refused(name, "The demo model is not here yet: run `make demo-model`." if origin == "demo" else
                      adapter_alone(name, path) if (path / ADAPTER).is_file() else
                      "Its folder has no config.json; copy the whole Hugging Face folder, not only the weights.")
    if origin != "demo":
        check_links(name, origin, path)
    config = read_json(name, path / "config.json")
    family, known = config.get("model_type"), known_families()
    if config.get("is_encoder_decoder") is True:
        raise refused(name, f"It is an encoder-decoder model ({str(family)[:60]}), as T5 and BART are: its decoder continues what an "
                            "encoder has read, and is no language model of text alone. Choose a model that is a decoder only.")
    if not isinstance(family, str) or (known and family not in known):
        code = " It would need code of its own (auto_map), and code from model folders never runs." if "auto_map" in config else ""
        raise refused(name, f"Its model_type {family!r} is no causal language model that the installed transformers knows.{code}")
    quantized = next((key for key in _QUANTIZED if config.get(key)), None)
    if quantized:
        raise refused(name, f"It is quantized ({quantized}); pruning needs the weights it was made from.")
    hidden, blocks = _number(config, *_WIDTHS), _number(config, *_BLOCKS) or _listed(config)
    if not hidden or not blocks:
        missing = [words for found, words in ((hidden, f"how wide it is ({', '.join(_WIDTHS)})"),
                                              (blocks, f"how many blocks it has ({', '.join(_BLOCKS)})")) if not found]
        raise refused(name, f"Its config.json does not say {' and '.join(missing)}.")
    check_claims(name, config, blocks)
    weights = weight_files(name, path, config) if weights_needed else []
    try:
        tensors = tensors_in(weights)
        counts = entries(tensors)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise refused(name, f"A weight file is no whole safetensors file ({error!r:.200}); copy or download it again.") from error
    refuse_other_models(name, tensors)
    dtype = max(FLOATS, key=lambda kind: counts[kind]) if counts else str(config.get("dtype") or config.get("torch_dtype") or "float32")
    architectures = config.get("architectures")
    return ModelSource(
        name=name, origin=origin, path=path, revision=_revision(origin, path, weights, at_any_cost=at_any_cost),
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "", family=family,
        context=_number(config, "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length") or 2048,
        hidden=hidden, blocks=blocks, parameters=counts.total(), bytes=sum(file.stat().st_size for file in weights),
        dtype=FLOATS.get(dtype, dtype), notes=notes_on(path, weights))


@lru_cache(maxsize=1)
def known_families() -> frozenset[str]:
    """The model types transformers has a causal language model for, alone or beside a vision tower, read from its
    tables as text: importing them loads torch."""
    spec = importlib.util.find_spec("transformers")
    tables = [Path(place) / "models/auto/modeling_auto.py" for place in (spec and spec.submodule_search_locations) or ()]
    text = tables[0].read_text(encoding="utf-8") if tables and tables[0].is_file() else ""
    parts = [text.partition(f"\n{table}")[2].partition("\n)\n")[0] for table in _TABLES]
    return frozenset(name for part in parts for name in re.findall(r"\(\s*\"([^\"]+)\",", part))


def model_files(source: ModelSource) -> list[Path]:
    """All files that decide what a model computes: weights, configuration, tokenizer. Raises BadInput where they are not whole."""
    return _addressed_files(source.path, source_weights(source))


def source_weights(source: ModelSource) -> list[Path]:
    """The safetensors files of a model. Raises BadInput where they are not whole."""
    return weight_files(source.name, source.path, read_json(source.name, source.path / "config.json"))


def index_of(source: ModelSource) -> str | None:
    """Name of the index of a model's weight files, or None where it has none or it is not what the model is opened by."""
    first = opened_first(source.path, read_json(source.name, source.path / "config.json"))
    return first if first.endswith(".index.json") else None


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


def _listed(config: Mapping[str, Any]) -> int:
    """Number of blocks of a configuration that names the type of each."""
    types = config.get("layers_block_type")
    return len(types) if isinstance(types, list) else 0  # pyright: ignore[reportUnknownArgumentType]


def _number(config: Mapping[str, Any], *keys: str) -> int:
    """The first of these keys that config.json, or the text_config in it, gives a positive whole number; else 0."""
    views = [view for view in (config, config.get("text_config")) if isinstance(view, dict)]
    found = (view[key] for view in views for key in keys if key in view)
    return next((value for value in found if type(value) is int and value > 0), 0)
