"""The disk refuses pickle and files elsewhere, whoever planted them."""

import os
import pickle
import sqlite3
import time
from pathlib import Path

import pytest
from diskcache import Cache

from cache.disk import SafeDisk, open_rows

pytestmark = pytest.mark.faults


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def plant(folder: Path, key: object, *, raw: int = 1, mode: int, filename: str | None = None, value: object = None) -> None:
    columns = {"key": key, "raw": raw, "store_time": time.time(), "mode": mode, "filename": filename, "value": value}
    with sqlite3.connect(folder / "cache.db") as connection:
        connection.execute(f"INSERT INTO Cache ({', '.join(columns)}) VALUES (?, ?, ?, ?, ?, ?)", tuple(columns.values()))


@pytest.fixture
def rows(tmp_path):
    opened = open_rows(tmp_path / "rows")
    opened.set("honest", "value", retry=True)
    yield opened
    opened.close()


def test_a_planted_pickle_is_not_executed_in_a_value_a_file_or_a_key(tmp_path, rows):
    folder, mark = tmp_path / "rows", tmp_path / "executed"
    pickled = pickle.dumps(Payload(mark))
    (folder / "planted.val").write_bytes(pickled)
    plant(folder, "in-value", mode=4, value=pickled)
    plant(folder, "in-file", mode=4, filename="planted.val")
    plant(folder, pickled, raw=0, mode=1, value="behind a pickled key")

    assert rows.get("in-value", retry=True) is None
    assert rows.get("in-file", retry=True) is None
    keys = list(rows.iterkeys())
    assert {"in-value", "in-file", "honest"} < set(keys)
    assert [rows.get(key, retry=True) for key in keys if isinstance(key, bytes)] == [None]
    assert rows.get("honest", retry=True) == "value"
    assert not mark.exists()

    with Cache(str(folder)) as unsafe:  # the same rows do execute without SafeDisk: the test can fail
        unsafe.get("in-value")
    assert mark.exists()


@pytest.mark.parametrize("name", ["../outside.txt", "{absolute}", "link.txt", "sub/../../outside.txt"])
def test_a_row_cannot_name_a_file_elsewhere(tmp_path, rows, name):
    folder, outside = tmp_path / "rows", tmp_path / "outside.txt"
    outside.write_text("secret")
    (folder / "link.txt").symlink_to(outside)
    plant(folder, "leak", mode=3, filename=name.format(absolute=outside))

    assert rows.get("leak", retry=True) is None
    rows.delete("leak", retry=True)
    assert outside.read_text() == "secret"


@pytest.mark.parametrize("value", [{"a": 1}, ["a"], None, True, 2**63, object()])
def test_other_values_are_refused_when_written(tmp_path, value):
    with Cache(str(tmp_path), disk=SafeDisk) as cache:
        with pytest.raises(TypeError, match="not stored"):
            cache.set("key", value)
        with pytest.raises(TypeError, match="not stored"):
            cache.set(("a", "tuple") if value is None else value, "value")
        assert len(cache) == 0


@pytest.mark.parametrize("value", ["text", "long text" * 10_000, b"bytes", b"long" * 20_000, -(2**63), 1.5])
def test_plain_values_come_back(tmp_path, value):
    with Cache(str(tmp_path), disk=SafeDisk) as cache:
        cache.set("key", value)
        assert cache.get("key") == value
        cache.delete("key")
        assert not list(tmp_path.rglob("*.val"))
