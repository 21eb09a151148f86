"""Every file of a home cut off, flipped, emptied, replaced and planted: an entry is what was written, or missing, or told. Never false."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from cache import Store
from core.spec.errors import PruneError
from tests.cache.examples import key_of
from tests.cache.homes import TABLES, fill, read

pytestmark = pytest.mark.faults
KINDS = ("records", "documents", "journals", "grams")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A home, all of its databases in their files, and what is in it."""
    home = tmp_path_factory.mktemp("whole")
    fill(home)
    for table in TABLES:
        connection = sqlite3.connect(home / "store" / table / "cache.db")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    return home, read(home)


def files(home: Path, kind: str) -> list[Path]:
    found = [path for path in home.rglob("*") if path.is_file() and kind in path.parts and path.name not in ("reserve", "made")]
    return [path for path in found if not path.name.endswith(("-wal", "-shm"))]


def read_or_reason(home: Path) -> dict[str, object] | str:
    try:
        return read(home)
    except PruneError as error:
        return str(error)


def flipped(content: bytes, place: float) -> bytes:
    index = min(len(content) - 1, int(place * len(content)))
    return content[:index] + bytes([content[index] ^ 0x20]) + content[index + 1:]


DAMAGES = {
    "cut off in the middle": lambda content: content[:len(content) // 2], "emptied": lambda content: b"",
    "other content": lambda content: b"\x80\x04\x95not what was here" * 40, "zeros": lambda content: bytes(len(content)),
    "longer": lambda content: content + b"{}" * 400,
    **{f"a bit flipped at {place:.0%}": (lambda content, place=place: flipped(content, place)) for place in (.02, .2, .4, .6, .8, .97)},
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_false_is_read(whole, tmp_path, kind, damage):
    home, expected = whole
    broken = tmp_path / "home"
    shutil.copytree(home, broken)
    touched = files(broken, kind)
    assert touched
    for path in touched:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    found = read_or_reason(broken)
    if isinstance(found, str):  # a database that is gone: in words
        assert "PRUNESCOPE_HOME" in found
        return
    assert all(found[name] in (None, entry) for name, entry in expected.items()), {
        name: (entry, expected[name]) for name, entry in found.items() if entry not in (None, expected[name])}


@pytest.mark.parametrize("planted", [b"", b"\x80\x04\x95" + bytes(50), b"[" * 100_000, b"x" * 1_000_000])
def test_what_is_planted_is_no_entry(whole, tmp_path, planted):
    """Files under the names of entries that were never written, and links in their place."""
    home, expected = whole
    broken = tmp_path / "home"
    shutil.copytree(home, broken)
    for folder in ("journals", "grams"):
        place = broken / folder / key_of("planted")
        place.mkdir()
        for name in ("block-00000.json", "block-00000.safetensors"):
            (place / name).write_bytes(planted)
    secret = tmp_path / "secret"
    secret.write_bytes(planted)
    os.symlink(secret, broken / "journals" / key_of("planted") / "block-00001.json")
    store = Store(broken)
    assert store.journal(key_of("planted")).read(0) is None
    assert store.journal(key_of("planted")).read(1) is None
    assert store.grams(key_of("planted")).read(0) is None
    assert store.damage() == ()
    store.close()
    assert read(broken) == expected
