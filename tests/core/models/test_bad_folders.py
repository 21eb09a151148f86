"""Folders that are no usable checkpoint: refused in words, and listed as unusable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.models import folders as checkpoint
from core.models.sources import list_models, resolve_model, unusable_models
from core.spec.errors import BadInput
from tests.core.models.saved import CODE, CONFIG, make


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def configured(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))  # type: ignore[func-returns-value]


def written(file: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes(content)  # type: ignore[func-returns-value]


def only_bin(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def header(content: object) -> Callable[[Path], None]:
    text = json.dumps(content).encode()
    return written("model.safetensors", len(text).to_bytes(8, "little") + text)


def index(weight_map: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return change


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no configuration": (no_config, "no config.json"),
    "configuration is no JSON": (written("config.json", b"{"), "config.json holds no JSON object"),
    "configuration is no text": (written("config.json", b"\xff\xfe\0"), "config.json holds no JSON object"),
    "configuration is a list": (written("config.json", b"[1]"), "config.json holds no JSON object"),
    "configuration is very deep": (written("config.json", b"[" * 100_000), "config.json holds no JSON object"),
    "no family": (configured(model_type=None), "model_type None"),
    "unknown family": (configured(model_type="homemade"), "'homemade' is no causal language model"),
    "an encoder": (configured(model_type="vit"), "'vit' is no causal language model"),
    "own code": (configured(**CODE), "code from model folders never runs"),
    "quantized": (configured(quantization_config={"bits": 4}), "quantized"),
    "no width": (configured(hidden_size=None), "how wide"),
    "no blocks": (configured(num_hidden_layers=0), "how many blocks"),
    "width is no number": (configured(hidden_size="8"), "how wide"),
    "only .bin": (only_bin, r"Only safetensors are read; it has pytorch_model.bin. To convert.*save_pretrained"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "it has no weights"),
    "truncated": (truncated, "no whole safetensors file"),
    "longer": (lambda folder: (folder / "model.safetensors").open("ab").write(b"x"), "no whole safetensors file"),  # type: ignore
    "empty": (written("model.safetensors", b""), "no whole safetensors file"),
    "header too long": (written("model.safetensors", b"\xff" * 64), "header does not fit"),
    "Git LFS": (written("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "Git LFS pointer"),
    "header is no JSON": (written("model.safetensors", (4).to_bytes(8, "little") + b"nope"), "no whole safetensors file"),
    "header is a list": (header([1]), "no whole safetensors file"),
    "header without tensors": (header({}), "no whole safetensors file"),
    "tensor without shape": (header({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "no whole safetensors file"),
    "index of nothing": (index({}), "does not name plain safetensors files"),
    "index is odd": (index([1]), "does not name plain safetensors files"),
    "index leads out": (index({"a": "../other/model.safetensors"}), "does not name plain safetensors files"),
    "index names pickles": (index({"a": "model.bin"}), "does not name plain safetensors files"),
    "shards missing": (index({"a": "1.safetensors", "b": "2.safetensors"}), "2 of its 2 weight files are missing"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_bad_folders_are_refused_in_words_and_listed_as_unusable(models: Path, kind: str) -> None:
    change, words = BAD_FOLDERS[kind]
    change(make(models / "bad"))
    make(models / "good")
    with pytest.raises(BadInput, match=words) as caught:
        resolve_model("bad")
    assert caught.value.field == "model"
    assert [model.name for model in list_models() if model.origin == "folder"] == ["good"]
    assert {model.name: model.reason for model in unusable_models()}["bad"] == str(caught.value)


def test_code_of_its_own_does_no_harm_where_the_family_is_known(models: Path) -> None:
    make(models / "mine", {**CONFIG, "auto_map": CODE["auto_map"]})
    assert resolve_model("mine").family == "llama"


def test_the_families_are_known() -> None:
    families = {"llama", "opt", "qwen3", "mistral", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt_neox", "phi", "gpt2"}
    assert families <= checkpoint.known_families()
