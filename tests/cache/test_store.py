"""Round trips, many processes at once, lists of hundreds, rows of other versions."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache import RunRecord, Store
from cache.disk import open_rows
from core.spec import RunSpec
from core.spec.errors import BadInput
from tests.cache.examples import evaluated, key_of, layer_record, plan_of, record_of, result_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def test_everything_comes_back_equal_in_another_process_s_store(store, tmp_path):
    key = key_of("run")
    record, result, plan, dense = record_of(error="why\n“quoted”"), result_of(), plan_of(), evaluated(float("inf"))
    store.put_record(record)
    store.put_result(key, result)
    store.put_plan(key, plan)
    store.put_dense(key, dense)
    other = Store(tmp_path)
    assert (other.record(key), other.result(key), other.plan(key), other.dense(key)) == (record, result, plan, dense)
    assert other.record(key_of("none")) is other.result(key_of("none")) is other.plan(key_of("none")) is None


def test_a_plan_is_for_the_best_rate_its_device_has_shown_in_a_day(store, monkeypatch):
    """One made on a busy machine is not believed for ever."""
    slow = plan_of().model_copy(update={"device": "CPU, 4 threads", "seconds": 90.0, "matrix_rate": 1e11})
    store.put_plan(key_of("plan"), slow)
    assert store.plan(key_of("plan")) == slow
    store.put_rate("CPU, 2 threads", 8e11)
    store.put_rate("CPU, 4 threads", 3e11)
    store.put_rate("CPU, 4 threads", 2e11)
    assert store.rate("CPU, 4 threads") == 3e11
    assert store.plan(key_of("plan")) == slow.model_copy(update={"seconds": 30.0, "matrix_rate": 3e11})
    store.put_plan(key_of("better"), slow.model_copy(update={"matrix_rate": 6e11, "seconds": 15.0}))
    assert store.plan(key_of("plan")).seconds == 15
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert store.plan(key_of("plan")) == slow
    store.put_rate("CPU, 4 threads", 2e11)
    assert store.plan(key_of("plan")).seconds == 45
    store.put_plan(key_of("old"), slow.model_copy(update={"matrix_rate": None}))  # as earlier versions wrote it
    assert store.plan(key_of("old")).seconds == 90


def test_a_large_result_comes_back_and_goes_away_whole(store, tmp_path):
    result = result_of(layers=tuple(layer_record(block) for block in range(600)))
    store.put_record(record_of())
    store.put_result(key_of("run"), result)
    assert store.result(key_of("run")) == result
    store.journal(key_of("run")).folder.mkdir(parents=True)
    store.delete(key_of("run"))
    assert store.record(key_of("run")) is store.result(key_of("run")) is None
    assert not list(tmp_path.rglob("*.val"))
    assert not store.journal(key_of("run")).folder.exists()


def test_the_home_is_read_when_the_store_is_opened(monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(tmp_path / "elsewhere"))
    Store().put_record(record_of())
    assert Store(tmp_path / "elsewhere").count() == 1


def test_runs_come_pinned_first_then_newest_in_pages_and_by_state(store):
    states = ("queued", "running", "finished", "failed", "cancelled")
    for i in range(20):
        store.put_record(record_of(i, submitted=float(i), state=states[i % 5], pinned=i == 3))
    assert [run.submitted for run in store.runs(limit=4)] == [3, 19, 18, 17]
    assert [run.submitted for run in store.runs(offset=4, limit=2)] == [16, 15]
    assert [run.submitted for run in store.runs(states={"failed"})] == [3, 18, 13, 8]
    assert (store.count(), store.count({"queued", "running"}), store.count(())) == (20, 8, 0)
    assert store.runs(offset=20) == ()


def test_updates_are_validated_and_need_a_record(store):
    store.put_record(record_of())
    assert store.update_record(key_of("run"), state="running", started=2.0) == store.record(key_of("run"))
    assert store.record(key_of("run")).state == "running"
    with pytest.raises(ValueError, match="state"):
        store.update_record(key_of("run"), state="dancing")
    with pytest.raises(KeyError):
        store.update_record(key_of("none"), pinned=True)
    assert store.record(key_of("run")).state == "running"


def test_a_row_of_another_version_is_skipped_and_counted(store, tmp_path):
    store.put_record(record_of("good"))
    rows = open_rows(tmp_path / "store" / "records")
    rows.set(key_of("old"), '{"key": "old", "colour": "red"}', retry=True)
    rows.set(key_of("torn"), '{"key": ', retry=True)
    open_rows(tmp_path / "store" / "documents").set(f"result-{key_of('old')}", "{}", retry=True)
    assert [run.key for run in store.runs()] == [key_of("good")]
    assert store.skipped == 2
    assert store.record(key_of("old")) is store.result(key_of("old")) is None


def test_a_key_from_a_link_cannot_leave_the_store(store):
    for key in ("../../etc", "", "A" * 64, "a" * 63, f"{'a' * 64}\n"):
        with pytest.raises(ValueError, match="not a key"):
            store.journal(key)
        assert store.record(key) is None
        store.delete(key)


def test_five_hundred_runs_are_listed_without_reading_their_results(store, monkeypatch):
    for i in range(500):
        store.put_record(record_of(i, submitted=float(i), state="finished", spec=RunSpec(calibration={"seed": i})))
    with monkeypatch.context() as patch:
        patch.setattr(store, "_documents", None)
        began = time.perf_counter()
        fresh = store.runs(limit=50)
        seconds = time.perf_counter() - began
    assert [run.submitted for run in fresh] == list(range(499, 449, -1))
    sys.stdout.write(f"500 runs listed in {1000 * seconds:.1f} ms\n")


ADD = """
import sys
from cache import Store
from tests.cache.examples import key_of, record_of
store, name = Store(), sys.argv[1]
for i in range(60):
    store.change_record(key_of("shared"), lambda record: record.model_copy(update={"submitted": record.submitted + 1}))
    store.put_record(record_of(f"{name}-{i}"))
"""


def test_writers_in_several_processes_lose_nothing(store, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(store.home))
    store.put_record(record_of("shared", submitted=0.0))
    writers = [subprocess.Popen([sys.executable, "-c", ADD, name], cwd=ROOT) for name in "abcd"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    assert store.record(key_of("shared")).submitted == 240
    assert store.count() == 241


KILLED = """
import os, signal
from cache import Store
from tests.cache.examples import key_of
def die(record):
    os.kill(os.getpid(), signal.SIGKILL)
Store().change_record(key_of("run"), die)
"""


def test_a_process_killed_inside_a_transaction_locks_nobody_out(store, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(store.home))
    store.put_record(record_of())
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False, timeout=60).returncode == -9
    assert store.update_record(key_of("run"), pinned=True).pinned


def test_a_full_disk_is_said_with_what_to_do(store, monkeypatch):
    store.require_space(1)
    with pytest.raises(BadInput, match="disk") as caught:
        store.require_space(10**18)
    assert "GB free" in str(caught.value)
    assert "PRUNESCOPE_HOME" in caught.value.remedy
    usage = shutil.disk_usage(store.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    assert store.free_bytes() == 0
    with pytest.raises(BadInput):
        store.require_space(0)


def test_a_finished_record_shows_its_result_s_numbers():
    record = record_of(pinned=True, error="an earlier failure").finished(result_of())
    assert (record.state, record.dense_perplexity, record.pruned_perplexity, record.seconds) == ("finished", 7.25, 8.5, 2.5)
    assert (record.pinned, record.error, record.active) == (True, None, False)
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_a_folder_that_cannot_be_opened_is_said_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "damaged" / "store" / "records").mkdir(parents=True)
    (tmp_path / "damaged" / "store" / "records" / "cache.db").write_bytes(b"no database" * 1000)
    for home, why in ((tmp_path / "file" / "home", "file is a file, not a folder.*another folder"),
                      (tmp_path / "damaged", "not a database.*put that folder back from a backup")):
        with pytest.raises(BadInput, match=f"PRUNESCOPE_HOME: .*{why}"):
            Store(home)


def test_rows_are_found_by_what_their_keys_begin_with(tmp_path):
    rows = Store(tmp_path).rows
    for key in ("jo", "job", "job-1", "jobs", "joc"):
        rows.set(key, "text")
    assert sorted(rows.keys_from("job")) == ["job", "job-1", "jobs"]
