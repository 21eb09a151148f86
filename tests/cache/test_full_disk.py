"""A full disk: writes end in words and succeed with room again, deleting works, nothing half written stays, nothing spins."""

from __future__ import annotations

import os

import pytest
import torch

from cache import Store
from cache.space import DiskFull, is_full
from core.records import LayerRecord
from core.run.block_files import TensorFiles
from tests.cache.examples import evaluated, key_of, layer_record, record_of, result_of
from tests.small_disk import fill, small_disk

pytestmark = pytest.mark.faults


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 48) as folder:
        yield folder


@pytest.fixture
def store(disk):
    opened = Store(disk / "home")
    for index in range(20):
        opened.put_record(record_of(index, submitted=float(index), error="why " * 500))
        opened.put_result(key_of(index), result_of())
    yield opened
    opened.close()


def write_much(store):
    """The room in SQLite's own files is used first."""
    for index in range(500):
        store.put_record(record_of(f"more-{index}", error="why " * 900))


def test_gram_matrices_give_way_to_a_change_of_state(store, disk):
    folders = [store.home / "grams" / key_of(index) for index in range(2)]
    for age, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "block").write_bytes(bytes(2**20))
        os.utime(folder, (1e9 + age, 1e9 + age))
    store.reserve.give_up()
    fill(disk)
    with pytest.raises(DiskFull):
        write_much(store)
    assert store.update_record(key_of(1), state="cancelled").state == "cancelled"
    assert [folder.exists() for folder in folders] == [False, True]


def test_what_does_not_fit_is_told_and_fits_later(store, disk):
    filler = fill(disk)
    with pytest.raises(DiskFull, match=r"is full: 0\.0 MB are free.*core clean"):
        write_much(store)
    filler.unlink()
    store.put_record(record_of("later"))
    assert store.record(key_of("later")) == record_of("later")
    assert store.record(key_of(3)) == record_of(3, submitted=3.0, error="why " * 500)
    assert store.damage() == ()


def test_states_change_and_runs_are_deleted_on_a_full_disk(store, disk):
    fill(disk)
    with pytest.raises(DiskFull):
        write_much(store)
    assert store.update_record(key_of(1), state="cancelled").state == "cancelled"
    for index in range(2, 12):
        store.delete(key_of(index))
        assert store.record(key_of(index)) is store.result(key_of(index)) is None
    assert not store.reserve.give_up(), "it was given up"
    fill(disk)
    with pytest.raises(DiskFull):
        write_much(store)
    with pytest.raises(DiskFull):
        store.delete(key_of(12))
    (disk / "filler").unlink()
    store.reserve.fill()
    assert store.reserve.give_up()


def test_a_store_opens_on_a_full_disk(store, disk):
    store.close()
    fill(disk)
    again = Store(disk / "home")
    assert again.count() == 20
    again.delete(key_of(0))
    assert again.count() == 19
    again.close()


def test_large_values_and_blocks_leave_nothing_half_written(store, disk):
    before = sorted(disk.rglob("*.val"))
    filler = fill(disk)
    large = evaluated().model_copy(update={"text": "word " * 200_000})
    with pytest.raises(DiskFull):
        store.put_dense(key_of("dense"), large)
    files = TensorFiles(disk / "home" / "journals" / key_of(0), LayerRecord)
    with pytest.raises(DiskFull, match=r"about 4\.2 MB are needed"):
        files.write(0, {"weight": torch.ones(1024, 1024)}, layer_record())
    assert sorted(disk.rglob("*.val")) == before
    assert not [*disk.rglob("*.tmp"), *disk.rglob("block-*")]
    filler.unlink()
    store.put_dense(key_of("dense"), large)
    files.write(0, {"weight": torch.ones(1024, 1024)}, layer_record())
    assert store.dense(key_of("dense")) == large
    assert files.read(0) is not None


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    assert not is_full(PermissionError(13, "Permission denied"), tmp_path)
    assert is_full(OSError(28, "No space left on device"), tmp_path)
    led_to = RuntimeError("cannot rollback - no transaction is active")
    led_to.__context__ = OSError(122, "Disk quota exceeded")
    assert is_full(led_to, tmp_path)
