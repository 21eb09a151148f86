"""The content address of a model's folder: what it depends on, and that unchanged files are read once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from core.data import digests
from core.data.digests import NotReadYet, remembered_only
from core.data.files import stamp
from core.models import folders as checkpoint
from core.models.sources import list_models, resolve_model
from tests.core.models.saved import make

pytestmark = pytest.mark.faults


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


def large_file(folder: Path) -> Path:
    """65 MiB of float32, written as a hole."""
    count = 16 * (1 << 20) + (1 << 18)
    text = json.dumps({"a": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    file = folder / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    with file.open("r+b") as stream:
        stream.truncate(8 + len(text) + 4 * count)
    return file


def test_every_byte_of_a_large_file_counts(models: Path) -> None:
    """A sample of it is no address: what changes between two samples was served old results."""
    file = large_file(make(models / "mine"))
    size = file.stat().st_size
    addresses = [resolve_model("mine").revision]
    for place in (200, size // 3 + 12345, size // 2 + 77, size - 1):
        with file.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"x")
        addresses.append(resolve_model("mine").revision)
    assert len(set(addresses)) == 5
    lines = "".join(f"{one.name}\0{hashlib.sha256(one.read_bytes()).hexdigest()}\n" for one in sorted(file.parent.iterdir())
                    if one.name in ("config.json", "model.safetensors", "tokenizer.json"))
    assert addresses[-1] == hashlib.sha256(lines.encode()).hexdigest()


def test_a_large_file_is_read_once_also_by_other_processes(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = large_file(make(models / "mine"))
    with remembered_only(), pytest.raises(NotReadYet) as unread:
        resolve_model("mine")
    assert [known.path for known in unread.value.files] == [str(file)]
    assert [source.revision for source in list_models() if source.name == "mine"] == [""], "listing models reads no weights"
    told: list[int] = []
    digests.digest(stamp(file), told.append)
    assert sum(told) == file.stat().st_size
    monkeypatch.setattr(digests, "_read", lambda *_: pytest.fail("read again"))
    monkeypatch.setattr(digests, "_read_here", {})  # another process
    with remembered_only():
        address = resolve_model("mine").revision
    assert [source.revision for source in list_models() if source.name == "mine"] == [address]
    (kept,) = (digests.default_home() / "digests").iterdir()
    kept.write_text("{")
    with pytest.raises(BaseException, match="read again"):
        resolve_model("mine")


def test_a_home_that_cannot_be_written_costs_one_reading_a_process(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser would otherwise read the same file again and again."""
    known = stamp(large_file(make(models / "mine")))
    (models / "file").write_text("no folder")
    monkeypatch.setattr(digests, "default_home", lambda: models / "file")
    found = digests.digest(known)
    assert digests.remembered(known) == found


def test_a_file_that_changes_while_it_is_read_is_not_remembered(models: Path) -> None:
    file = large_file(make(models / "mine"))
    known = stamp(file)
    digests.digest(known, lambda _: os.utime(file, ns=(1, 1)))
    assert digests.remembered(known) is digests.remembered(stamp(file)) is None


def test_unchanged_files_are_read_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    source = resolve_model("mine")
    for module in (checkpoint, digests):
        monkeypatch.setattr(module, "open", lambda *_: pytest.fail("read again"), raising=False)
    assert resolve_model("mine") == source
