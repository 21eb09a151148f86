"""Model folders as they lie on disk, and the refusal of a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.models.sources import resolve_model
from core.spec.errors import BadInput

CONFIG: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2,
                          "max_position_embeddings": 128}
CODE = {"model_type": "homemade", "auto_map": {"AutoModelForCausalLM": "modeling.Homemade"}}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make(folder: Path, config: dict[str, Any] | None = None, dtype: Any = np.float16, shards: int = 1) -> Path:
    """A folder with a configuration, a tokenizer and 8·8 + 8 weights in each shard."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    (folder / "tokenizer.json").write_text("{}")
    tensors = {"a": np.arange(64, dtype=dtype).reshape(8, 8), "b": np.ones(8, dtype=np.float32)}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = [f"model-{index:05d}-of-{shards:05d}.safetensors" for index in range(1, shards + 1)]
    for index, name in enumerate(names):
        save_file({f"{key}{index}": value for key, value in tensors.items()}, folder / name)
    index = {"weight_map": {f"{key}{index}": name for index, name in enumerate(names) for key in tensors}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def refusal(name: str, **options: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        resolve_model(name, **options)
    return caught.value
