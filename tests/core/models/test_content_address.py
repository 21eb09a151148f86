"""The content address of a model's folder: what it depends on, and that unchanged files are read once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from core.models import folders as checkpoint
from core.models.sources import resolve_model
from tests.core.models.saved import make


def test_the_address_is_of_the_content(models: Path) -> None:
    folder = make(models / "mine")
    address = resolve_model("mine").revision
    shutil.copytree(folder, models / "copy")
    assert resolve_model("copy").revision == address
    for file in folder.iterdir():
        os.utime(file, ns=(1, 1))
    (folder / "README.md").write_text("read me")
    assert resolve_model("mine").revision == address


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_changed_byte_changes_the_address(models: Path, file: str) -> None:
    folder = make(models / "mine")
    before = resolve_model("mine").revision
    stat = (folder / file).stat()
    content = bytearray((folder / file).read_bytes())
    if file == "model.safetensors":
        content[-1] ^= 1
    else:
        content += b" "
    (folder / file).write_bytes(content)
    os.utime(folder / file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # even where the times do not show it
    assert resolve_model("mine").revision != before


def test_names_and_contents_are_not_confused(models: Path) -> None:
    folder = make(models / "mine")
    before = resolve_model("mine").revision
    (folder / "tokenizer.json").rename(folder / "vocab.json")
    assert resolve_model("mine").revision != before


def test_large_files_are_sampled_from_the_header_to_the_last_byte(models: Path) -> None:
    folder = make(models / "mine")
    count = 16 * (1 << 20) + (1 << 18)  # 65 MiB of float32, written as a hole
    text = json.dumps({"a": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    file = folder / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    with file.open("r+b") as stream:
        stream.truncate(8 + len(text) + 4 * count)
    addresses = [resolve_model("mine").revision]
    assert resolve_model("mine").parameters == count
    for place in (8 + len(text), 8 + len(text) + (21 << 19), 8 + len(text) + 4 * count - 1):
        with file.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"x")
        addresses.append(resolve_model("mine").revision)
    assert len(set(addresses)) == 4


def test_unchanged_files_are_read_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    source = resolve_model("mine")
    monkeypatch.setattr(checkpoint, "open", lambda *_: pytest.fail("read again"), raising=False)
    assert resolve_model("mine") == source
