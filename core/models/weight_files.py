"""Weight files of a model's folder: which are opened, what their headers say, and which hold no plain language model. No torch.

Only what `weight_files` names is ever opened: other weights beside it (adapters, another format, an older save) are left alone, and named.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.data.files import Stamp, stamp
from core.models.folder_limits import read_json, refused

ADAPTER = "adapter_config.json"
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # dtypes of a header that pruning can work on
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_OTHER_WEIGHTS = {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx"}
_BESIDE = re.compile(r".*\.(safetensors|gguf)|(pytorch_model|adapter_model).*\.bin|(consolidated.*|model)\.pth|"
                     r"(tf|flax)_model.*\.(h5|msgpack)")
_MIB = 1 << 20
_LORA = re.compile(r"\.(lora_|base_layer\.|modules_to_save\.|lokr_|hada_w|ia3_)")
_WEIGHT = re.compile(r"(weight|weight_packed|_blocks|W_q)$")
_HEAD = re.compile(r"(score|classifier|classification_head|qa_outputs|v_head|value_head|reward_head|multiple_choice_head)\.")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor of a safetensors file: dtype by the file's own name ("F16"), shape, and its bytes as [start, stop) of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def opened_first(path: Path, config: Mapping[str, Any]) -> str:
    """Name of the weight file or of the index that a model is opened by."""
    return str(config.get("transformers_weights") or (_SINGLE if (path / _SINGLE).is_file() else _INDEX))


def weight_files(name: str, path: Path, config: Mapping[str, Any]) -> list[Path]:
    """The safetensors files that are opened: the one that config.json names, else model.safetensors, else all of its index."""
    asked = opened_first(path, config)
    if "/" in asked or not asked.endswith((".safetensors", ".safetensors.index.json")):
        raise refused(name, f"Its config.json names weights that are no safetensors file beside it ({asked[:60]!r}).")
    names = [asked]
    if asked.endswith(".index.json"):
        if not (path / asked).is_file():
            raise refused(name, _no_weights(name, path))
        places = read_json(name, path / asked).get("weight_map")
        names = sorted({str(file) for file in places.values()}) if isinstance(places, dict) else []
        if not names or any("/" in file or not file.endswith(".safetensors") for file in names):
            raise refused(name, f"Its {asked} does not name plain safetensors files.")
    missing = [file for file in names if not (path / file).is_file()]
    if missing:
        raise refused(name, f"{len(missing)} of its {len(names)} weight files are missing ({missing[0]}); finish the download.")
    return [path / file for file in names]


def adapter_alone(name: str, path: Path) -> str:
    """Refusal of a folder that holds an adapter without its base model."""
    base = read_json(name, path / ADAPTER).get("base_model_name_or_path")
    return (f"It holds an adapter of {str(base)[:100]!r} ({ADAPTER}) and no model of its own. Merge it into its base model first: "
            "peft.AutoPeftModelForCausalLM.from_pretrained(ADAPTER).merge_and_unload().save_pretrained(NEW), with the base model's "
            "tokenizer beside it.")


def _no_weights(name: str, path: Path) -> str:
    if (path / ADAPTER).is_file():
        return adapter_alone(name, path)
    others = ", ".join(sorted(file.name for file in path.iterdir() if file.suffix in _OTHER_WEIGHTS)[:3])
    return (f"Only safetensors are read; it has {others or 'no weights'}. To convert a model you trust: "
            "transformers.AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW).")


def notes_on(path: Path, weights: Iterable[Path]) -> tuple[str, ...]:
    """Sentences on weights in the folder that are not opened: an adapter, files of other formats, an older save."""
    opened = {file.name for file in weights}
    beside = sorted(file.name for file in path.iterdir() if file.name not in opened and _BESIDE.fullmatch(file.name))
    adapter = [ADAPTER, *(file for file in beside if file.startswith("adapter_model"))] if (path / ADAPTER).is_file() else []
    others = [file for file in beside if file not in adapter]
    notes: list[str] = []
    if opened and adapter:
        notes.append(f"The folder's adapter ({', '.join(adapter)}) is not applied: the model in {_some(sorted(opened))} is opened alone. "
                     "To prune both together, merge the adapter first (peft's merge_and_unload, then save_pretrained).")
    if opened and others:
        notes.append(f"The folder holds other weights that are not opened ({_some(others)}): the model is in {_some(sorted(opened))}.")
    return tuple(notes)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def tensors_in(files: Iterable[Path]) -> dict[str, Stored]:
    """All tensors of the files by name, of several of one name the last. Raises as `read_header` does."""
    return {key: tensor for file in files for key, tensor in read_header(stamp(file)).items()}


@lru_cache(maxsize=1024)
def read_header(known: Stamp) -> Mapping[str, Stored]:
    """Tensors by name, from a safetensors header, which must fit the file's size. Raises ValueError, or what a broken header leads to."""
    end, file, size = 0, Path(known.path), known.size
    tensors: dict[str, Stored] = {}
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, 100 * _MIB):
            raise ValueError(f"{file.name}: its header does not fit; a Git LFS pointer perhaps?")
        header = json.loads(stream.read(length))
    for key, tensor in header.items():
        if key != "__metadata__":
            start, stop = tensor["data_offsets"]
            tensors[key] = Stored(dtype=tensor["dtype"], shape=tuple(tensor["shape"]), start=8 + length + start, stop=8 + length + stop)
            end = max(end, stop)
    if 8 + length + end != size or not entries(tensors):
        raise ValueError(f"{file.name}: it should have {8 + length + end:,} bytes and has {size:,}")
    return tensors


def entries(tensors: Mapping[str, Stored]) -> Counter[str]:
    """Number of entries by dtype."""
    counts = Counter[str]()
    for tensor in tensors.values():
        counts[tensor.dtype] += math.prod(tensor.shape)
    return counts


def refuse_other_models(name: str, tensors: Mapping[str, Stored]) -> None:
    """Raise BadInput for weights that are no plain language model's: an unmerged adapter, quantized weights, a head of another task."""
    lora = next((key for key in tensors if _LORA.search(key)), None)
    if lora is not None:
        raise refused(name, f"Its weights hold an adapter that is not merged ({lora[:100]}). Merge it: peft's merge_and_unload, then "
                            "save_pretrained.")
    packed = next((key for key, tensor in tensors.items() if tensor.dtype not in FLOATS and _WEIGHT.search(key)), None)
    if packed is not None:
        raise refused(name, f"It is quantized ({packed[:100]} is stored as {tensors[packed].dtype[:20]}); pruning needs the weights it was "
                            "made from.")
    head = next((key for key in tensors if _HEAD.match(key)), None)
    if head is not None:
        raise refused(name, f"It has a head of another task ({head[:100]}), so it was trained for that and not to predict the next token. "
                            "Use the language model that it was made from.")
