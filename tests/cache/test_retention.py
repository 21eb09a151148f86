"""Cleaning: what goes by age, size and for want of an owner; what is pinned, waits or runs stays; a dry run removes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache import Store
from cache.retention import Policy, choose, policy_from_environment, remove, used_bytes
from core.spec.errors import BadInput
from tests.cache.examples import key_of, record_of, result_of

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600
MEGA = 10**6


@pytest.fixture
def store(tmp_path):
    """Runs that ended 0 to 9 days ago, of a megabyte each; 0 is pinned, 1 runs; Gram matrices of 1 and 5 days, a megabyte each."""
    opened = Store(tmp_path)
    now = time.time()
    for index in range(10):
        opened.put_record(record_of(index, state="running" if index == 1 else "finished", submitted=now - index * DAY - 60,
                                    ended=None if index == 1 else now - index * DAY - 60, pinned=index in (0, 9)))
        opened.put_result(key_of(index), result_of())
        block(opened.journal(key_of(index)).folder)
    for index in (1, 5):
        old(block(opened.home / "grams" / key_of(f"grams-{index}")), now - index * DAY)
    yield opened
    opened.close()


def block(folder):
    folder.mkdir(parents=True)
    (folder / "block-00000.safetensors").write_bytes(bytes(MEGA))
    return folder


def old(path, when):
    os.utime(path, (when, when))
    return path


def chosen(store, **limits):
    return {(entry.kind, entry.key) for entry in choose(store, Policy(**limits))}


def runs(*indexes):
    return {("run", key_of(index)) for index in indexes}


def grams(*indexes):
    return {("gram matrices", f"grams/{key_of(f'grams-{index}')}") for index in indexes}


def test_nothing_expires_without_a_limit(store):
    assert chosen(store) == set()


def test_what_is_older_goes_but_for_what_is_pinned_or_runs(store):
    assert chosen(store, days=4.5) == runs(5, 6, 7, 8) | grams(5)
    assert chosen(store, days=0) == runs(*range(2, 9)) | grams(1, 5)


def test_gram_matrices_go_before_runs_and_the_oldest_first(store):
    used = used_bytes(store) / 1e9
    assert chosen(store, gigabytes=used) == set()
    assert chosen(store, gigabytes=used - 0.5e-3) == grams(5)
    assert chosen(store, gigabytes=used - 3.5e-3) == grams(1, 5) | runs(8, 7)
    assert chosen(store, gigabytes=0) == grams(1, 5) | runs(*range(2, 9))
    assert chosen(store, days=7.5, gigabytes=used - 1.5e-3) == runs(8) | grams(5)


def test_a_run_without_files_is_not_removed_for_want_of_room(store):
    shutil.rmtree(store.journal(key_of(8)).folder)
    assert chosen(store, gigabytes=0) == grams(1, 5) | runs(*range(2, 8))
    assert ("run", key_of(8)) in chosen(store, days=0)


def test_left_over_files_go_after_an_hour(store):
    orphan = block(store.home / "journals" / key_of("deleted"))
    part = store.journal(key_of(0)).folder / "block-00001.safetensors.7.tmp"
    part.write_bytes(b"part")
    assert chosen(store) == set(), "they may be being written"
    old(orphan, time.time() - 7200)
    old(part, time.time() - 7200)
    entries = choose(store, Policy())
    assert {(entry.kind, store.home / entry.key) for entry in entries} == {("left over", orphan), ("left over", part)}
    remove(store, entries)
    assert not orphan.exists()
    assert not part.exists()
    assert store.journal(key_of(0)).folder.exists()


def test_what_was_pinned_or_asked_for_meanwhile_stays(store):
    entries = choose(store, Policy(days=0))
    store.update_record(key_of(5), pinned=True)
    store.update_record(key_of(6), state="queued")
    remove(store, entries)
    assert {record.key for record in store.runs()} == {key_of(index) for index in (0, 1, 5, 6, 9)}
    assert store.result(key_of(5)) == result_of()
    assert store.result(key_of(7)) is None


def test_databases_shrink(tmp_path):
    store = Store(tmp_path)
    for index in range(600):
        store.put_record(record_of(index, state="finished", error="why " * 500))
    store.shrink()
    before = sum(file.stat().st_size for file in (tmp_path / "store" / "records").iterdir())
    chosen = choose(store, Policy(days=0))
    told = sum(entry.bytes + entry.rows for entry in chosen)
    remove(store, chosen)
    after = sum(file.stat().st_size for file in (tmp_path / "store" / "records").iterdir())
    assert before > 1_200_000
    assert after < 150_000
    assert 0.5 < told / (before - after) <= 1.1, "what is said beforehand is what is freed: rows have no files"


def command(store, *flags):
    environment = {**os.environ, "PRUNESCOPE_HOME": str(store.home)}
    return subprocess.run([sys.executable, "-m", "core", "clean", *flags], cwd=ROOT, env=environment, capture_output=True, text=True,
                          check=False, timeout=120)


@pytest.mark.long
def test_the_command_says_what_would_go_and_does_it_when_told(store):
    said = command(store, "--days", "4.5")
    assert said.returncode == 0, said.stderr
    assert "  4 runs, 4.0 MB: older than 4.5 days\n  1 Gram matrices, 1.0 MB: older than 4.5 days\nWould free about 5.0 MB." in said.stdout
    assert store.count() == 10
    done = command(store, "--days", "4.5", "--yes")
    assert "Freed 5." in done.stdout
    assert store.count() == 6
    wrong = command(store, "--days", "-1")
    assert (wrong.returncode, "days: -1.0 cannot be used" in wrong.stderr) == (2, True)


def test_the_limits_of_the_environment(monkeypatch):
    assert policy_from_environment() == Policy()
    monkeypatch.setenv("PRUNESCOPE_KEEP_DAYS", "30")
    monkeypatch.setenv("PRUNESCOPE_KEEP_GB", "2.5")
    assert policy_from_environment() == Policy(days=30, gigabytes=2.5)
    monkeypatch.setenv("PRUNESCOPE_KEEP_GB", "much")
    with pytest.raises(BadInput, match="PRUNESCOPE_KEEP_GB"):
        policy_from_environment()
