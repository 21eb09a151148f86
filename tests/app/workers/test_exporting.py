"""A zip of a run, written here as a worker does: from its kept blocks or computed again, within a bound, for a day."""

from __future__ import annotations

import os
import time
import zipfile

import pytest
import torch
from safetensors.torch import load

from app.workers import exporting, weights
from app.workers.jobs import Jobs
from cache import Store, run_key
from cache.exports import KEPT_SECONDS, Export
from core.export.room import zip_bytes
from core.run import pipeline
from core.run.pipeline import prune
from core.run.revisions import revisions
from core.spec.errors import BadInput
from tests.app.workers.requests_here import SPEC, store_here


@pytest.fixture
def store(stories260k, monkeypatch, tmp_path):
    with store_here(stories260k, monkeypatch, tmp_path) as opened:
        yield opened


@pytest.fixture
def finished(store) -> str:
    """Key of a run whose blocks are kept."""
    key = run_key(SPEC, revisions(SPEC))
    *_, last = prune(SPEC, journal=store.journal(key))
    store.put_result(key, last.result)
    return key


def ask(store: Store, key: str) -> Export:
    jobs = Jobs(store)
    assert jobs.exporting.submit(SPEC) == key
    request = store.exports.requests.read(key)
    assert request is not None
    exporting.export(key, request.submitted)
    jobs.close()
    done = store.exports.requests.read(key)
    assert done is not None
    return done


def weights_in(path) -> dict[str, torch.Tensor]:
    with zipfile.ZipFile(path) as packed:
        return load(packed.read("stories260K-magnitude-0.5/model.safetensors"))


def test_kept_blocks_are_written_without_pruning_again(store, finished, monkeypatch):
    monkeypatch.setattr(pipeline, "prune", lambda *_, **__: pytest.fail("pruned again"))
    done = ask(store, finished)
    assert done.state == "finished"
    assert "opened again, perplexity" in done.checked
    path = store.exports.ready(finished)
    found, journal = weights_in(path), store.journal(finished).weights
    assert all(torch.equal(found[f"{name}.weight"].float(), weight.to(found[f"{name}.weight"].dtype).float())
               for name, weight in journal.items())


def test_blocks_that_are_gone_are_computed_again_to_the_bit(store, finished):
    assert ask(store, finished).state == "finished"
    before = weights_in(store.exports.path(finished))
    store.exports.delete(finished)
    for file in store.journal(finished).folder.iterdir():
        file.unlink()
    assert ask(store, finished).state == "finished"
    after = weights_in(store.exports.path(finished))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_is_there_is_not_made_again_and_goes_after_a_day(store, finished):
    first = ask(store, finished)
    path = store.exports.path(finished)
    made = path.stat().st_mtime_ns
    assert ask(store, finished) == first
    assert path.stat().st_mtime_ns == made
    os.utime(path, (time.time(), time.time() - KEPT_SECONDS - 1))
    assert store.exports.ready(finished) is None
    assert store.exports.find(finished, first.ticket) is None
    store.exports.tidy()
    assert not path.exists()
    assert ask(store, finished).ticket != first.ticket


def test_the_oldest_go_when_the_bound_is_reached(store, finished, monkeypatch):
    store.exports.folder.mkdir()
    others = [store.exports.path(letter * 64) for letter in "ab"]
    size = zip_bytes(SPEC)
    for age, path in zip((200, 100), others, strict=True):
        with path.open("wb") as file:
            file.truncate(size)
        os.utime(path, (time.time(), time.time() - age))
    monkeypatch.setenv("PRUNESCOPE_EXPORTS_GB", str(2.5 * size / 1e9))
    assert ask(store, finished).state == "finished"
    assert [path.exists() for path in others] == [False, True]
    monkeypatch.setenv("PRUNESCOPE_EXPORTS_GB", str(0.5 * size / 1e9))
    store.exports.delete(finished)
    with pytest.raises(BadInput, match="PRUNESCOPE_EXPORTS_GB"):
        Jobs(store).exporting.submit(SPEC)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(store, finished, monkeypatch):
    monkeypatch.setattr(Store, "free_bytes", lambda self: 10**6)
    with pytest.raises(BadInput, match="free"):
        Jobs(store).exporting.submit(SPEC)
    assert store.exports.requests.read(finished) is None


def test_a_cancelled_export_leaves_no_file(store, finished, monkeypatch):
    original = weights.pruned_weights

    def cancel(store, *arguments):
        found = original(store, *arguments)
        Jobs(store).exporting.cancel(finished)
        return found

    monkeypatch.setattr(weights, "pruned_weights", cancel)
    monkeypatch.setattr("app.workers.requests._TELL_SECONDS", -1.0)
    assert ask(store, finished).state == "cancelled"
    assert list(store.exports.folder.iterdir()) == []


def test_a_deleted_run_takes_its_zip_along(store, finished):
    ask(store, finished)
    store.delete(finished)
    assert not store.exports.path(finished).exists()
    assert store.exports.requests.read(finished) is None


@pytest.mark.parametrize("key", ["x", "../../etc/passwd", "a" * 64])
def test_nothing_is_found_under_a_made_up_key(store, key):
    assert store.exports.find(key, "") is None
