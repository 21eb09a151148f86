"""Runs and plans on real workers, with the demo model: asked once, followed, cancelled, killed, lost and found again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from app.workers import cluster, tasks
from app.workers.jobs import Jobs, Planning
from cache import RunRecord, Store, dense_key
from core.records import RunResult
from core.run.planning import plan
from core.spec import Calibration, Evaluation, RunSpec, SemiStructured, make_method
from core.spec.errors import BadInput
from tests.app.workers.processes import wait_for

ROOT = Path(__file__).resolve().parents[3]
BLOCKS, LAYERS = 12, 84  # of the small model below
IMPOSSIBLE = SemiStructured(n=512, m=1024)  # no group of 1024 fits into its layers


def quick(seed: int, **changes: object) -> RunSpec:
    return RunSpec.model_validate({
        "model": "small", "method": make_method("magnitude"), "calibration": Calibration(windows=4, length=64, seed=seed),
        "evaluation": Evaluation(windows=2, length=64), **changes})


def slow(seed: int) -> RunSpec:
    """Some seconds: long enough to be met on the way."""
    return quick(seed, method=make_method("thanos", block_size=8), calibration=Calibration(windows=64, length=64, seed=seed))


def save_small_model(folder: Path) -> None:
    """A LLaMA of 12 narrow blocks with the demo's tokeniser."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=4096, hidden_size=64, intermediate_size=96, num_hidden_layers=BLOCKS,
                                 num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "core" / "demo" / "model" / name, folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder, models = tmp_path_factory.mktemp("jobs-home"), tmp_path_factory.mktemp("models")
    save_small_model(models / "small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_MODELS", str(models))
        patch.setenv("PRUNESCOPE_THREADS", "1")
        yield folder
        cluster.stop_cluster(folder)


@pytest.fixture(autouse=True)
def prunescope_home(home, monkeypatch):
    """One home, and so one cluster, for all tests here."""
    monkeypatch.setenv("PRUNESCOPE_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def shared(home):
    jobs = Jobs(Store(home))
    yield jobs
    jobs.close()


@pytest.fixture
def jobs(shared):
    yield shared
    for record in shared.store.runs(states=("queued", "running")):
        shared.delete(record.key)


def ended(jobs: Jobs, key: str) -> RunRecord:
    def look() -> RunRecord | None:
        jobs.progress(key)  # as a page does: this also notices a lost scheduler
        record = jobs.store.record(key)
        return record if record is not None and not record.active else None

    record = wait_for(look)
    assert isinstance(record, RunRecord)
    return record


def finished(jobs: Jobs, key: str) -> RunResult:
    record = ended(jobs, key)
    assert (record.state, record.error) == ("finished", None)
    result = jobs.store.result(key)
    assert result is not None
    assert (record.pruned_perplexity, record.counted_sparsity) == (result.pruned.perplexity, result.counted_sparsity)
    return result


def blocks_done(jobs: Jobs, key: str) -> int:
    return len(list(jobs.store.journal(key).folder.glob("*.json")))


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    wait_for(lambda: ended_already(process))


def ended_already(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def device_worker(home: Path) -> int:
    """The process under the device lane's nanny in which tasks run."""
    nanny = psutil.Process(cluster.cluster_status(home)["processes"]["device-0"])
    workers = [child for child in nanny.children() if "spawn_main" in " ".join(child.cmdline())]
    return workers[0].pid if len(workers) == 1 else 0


def same_numbers(one: RunResult, other: RunResult) -> bool:
    changing = {"seconds": 0.0}
    layers = [[layer.model_copy(update=changing) for layer in result.layers] for result in (one, other)]
    return layers[0] == layers[1] and one.pruned == other.pruned and one.dense == other.dense


def test_the_web_server_s_half_imports_no_torch_even_when_it_works(home):
    code = ("import sys, time; from cache import Store; from app.workers.jobs import Jobs; from core.spec import RunSpec\n"
            "jobs = Jobs(Store()); jobs._connection.wait(); jobs.plan(RunSpec()); jobs.key(RunSpec()); jobs.progress('a' * 64)\n"
            "sys.exit(', '.join({'torch', 'transformers'} & set(sys.modules)) or 0)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_plan_is_made_in_the_background_and_then_known(jobs, home):
    spec = quick(1)
    assert jobs.plan(spec) == Planning(state="computing")
    found = wait_for(lambda: (planning := jobs.plan(spec)).state != "computing" and planning)
    assert found.state == "ready", found.error
    assert found.plan.blocks == BLOCKS
    assert Jobs(Store(home)).plan(spec) == found  # another web server, not even connected


def test_a_plan_that_cannot_be_made_says_why(jobs):
    found = wait_for(lambda: (planning := jobs.plan(quick(1, pattern=IMPOSSIBLE))).state != "computing" and planning)
    assert found.state == "failed"
    assert found.error.startswith("m: 1024 cannot be used")
    assert jobs.plan(RunSpec(model="no-such-folder")).state == "failed"


def test_a_run_of_the_demo_model_finishes(jobs):
    spec = RunSpec(method=make_method("wanda"), calibration=Calibration(windows=8, length=256), evaluation=Evaluation(windows=2))
    result = finished(jobs, jobs.submit(spec))
    assert result.spec == spec
    assert result.dense.perplexity < result.pruned.perplexity < 1000


def test_a_run_is_followed_finishes_and_is_not_computed_again(jobs, home):
    spec = quick(2)
    key = jobs.submit(spec)
    other = Jobs(Store(home))  # another web server
    assert key == jobs.key(spec) == jobs.submit(spec) == other.submit(spec)
    other._connection.wait()  # and handed it over
    result = finished(jobs, key)
    assert result.spec == spec
    assert len(result.layers) == LAYERS
    told = jobs.progress(key)
    assert told.started.layers == LAYERS
    assert told.layers == result.layers
    assert told.latest is not None
    jobs._connection.wait().log_event(tasks.topics(tasks.task_name(jobs.store.record(key)))[0], '{"kind": "of another version"}')
    later = jobs.progress(key)
    assert later.heard > told.heard
    assert later.model_copy(update={"heard": told.heard}) == told
    before = jobs.store.record(key)
    events = jobs._connection.wait().get_events(tasks.topics(tasks.task_name(before))[0])
    assert sum('"kind":"started"' in text for _, text in events) == 1
    assert before.submitted <= before.started <= told.heard <= before.ended + 1
    assert before.started <= before.ended
    assert jobs.submit(spec) == other.submit(spec) == key
    assert jobs.store.record(key) == before
    assert jobs.store.result(key) == result
    other.close()


def test_a_run_s_dense_perplexity_is_kept_for_the_next(jobs):
    first = finished(jobs, jobs.submit(quick(2)))
    store = jobs.store
    kept = store.dense(dense_key(quick(3), first.revisions))
    assert kept == first.dense
    marked = kept.model_copy(update={"perplexity": 123.0})
    store.put_dense(dense_key(quick(3), first.revisions), marked)
    assert finished(jobs, jobs.submit(quick(3))).dense == marked
    store.put_dense(dense_key(quick(3), first.revisions), kept)


def test_a_failed_run_says_why_and_can_be_asked_for_again(jobs):
    spec = quick(2, pattern=IMPOSSIBLE)
    key = jobs.submit(spec)
    first = ended(jobs, key)
    assert first.state == "failed"
    assert first.error.startswith("m: 1024 cannot be used. Allowed: 1 to ")
    jobs.submit(spec)
    wait_for(lambda: (record := jobs.store.record(key)).submitted > first.submitted and record.state == "failed")


def test_a_missing_model_or_a_full_disk_is_said_at_once_and_leaves_no_record(jobs, monkeypatch):
    before = jobs.store.count()
    with pytest.raises(BadInput, match="model"):
        jobs.submit(RunSpec(model="no-such-folder"))
    monkeypatch.setattr(Store, "free_bytes", lambda self: 0)
    with pytest.raises(BadInput, match="disk"):
        jobs.submit(quick(99))
    assert jobs.store.count() == before


def test_waiting_runs_have_places_and_go_at_once_when_cancelled(jobs):
    running, second, third = (jobs.submit(slow(seed)) for seed in (10, 11, 12))
    wait_for(lambda: jobs.store.record(running).state == "running")
    assert [jobs.position(key) for key in (running, second, third)] == [None, 1, 2]
    jobs.cancel(second)
    assert jobs.store.record(second).state == "cancelled"
    assert [jobs.position(key) for key in (running, second, third)] == [None, None, 1]
    jobs.delete(third)
    assert jobs.store.record(third) is None
    jobs.cancel(running)
    assert finished(jobs, jobs.submit(quick(13)))  # the lane is free again
    assert blocks_done(jobs, second) == blocks_done(jobs, third) == 0
    assert jobs.store.record(second).started is None


def test_a_running_run_stops_within_a_layer_and_continues_when_asked_again(jobs):
    key = jobs.submit(slow(20))
    wait_for(lambda: blocks_done(jobs, key) >= 1)
    jobs.cancel(key)
    cancelled = jobs.store.record(key)
    assert cancelled.state == "cancelled"
    assert finished(jobs, jobs.submit(quick(21)))  # runs when the lane is free
    log = (jobs.store.home / "logs" / "device-0.log").read_text()
    assert f"run {key} failed" not in log
    events = jobs._connection.wait().get_events(tasks.topics(tasks.task_name(cancelled))[0])
    late = [text for told, text in events if told > cancelled.ended + 0.05]  # that long a batch may have been on its way
    assert len(late) <= 1
    assert len(events) < LAYERS
    assert jobs.store.record(key) == cancelled
    jobs.submit(slow(20))
    assert finished(jobs, key).resumed_blocks >= 1


def test_a_deleted_run_stops_and_leaves_nothing(jobs):
    key = jobs.submit(slow(30))
    wait_for(lambda: blocks_done(jobs, key) >= 1)
    jobs.delete(key)
    assert finished(jobs, jobs.submit(quick(31)))
    assert jobs.store.record(key) is jobs.store.result(key) is None
    assert not jobs.store.journal(key).folder.exists()


def test_pins_put_a_run_first(jobs):
    key = jobs.submit(quick(2))
    finished(jobs, key)
    jobs.pin(key, True)
    assert jobs.store.runs()[0].key == key
    jobs.pin(key, False)
    assert not jobs.store.record(key).pinned
    jobs.pin("a" * 64, True)  # deleted meanwhile by somebody else
    assert jobs.store.record("a" * 64) is None


def test_a_killed_worker_costs_no_finished_block_and_no_bit(jobs, home):
    key = jobs.submit(slow(40))
    whole = finished(jobs, key)
    weights = jobs.store.journal(key).weights
    jobs.delete(key)

    assert jobs.submit(slow(40)) == key
    wait_for(lambda: blocks_done(jobs, key) >= 2)
    kill(device_worker(home))
    continued = finished(jobs, key)
    assert continued.resumed_blocks >= 2
    assert whole.resumed_blocks == 0
    assert same_numbers(whole, continued)
    again = jobs.store.journal(key).weights
    assert len(again) == len(weights) == LAYERS
    assert all(torch.equal(again[name], weight) for name, weight in weights.items())


def test_a_worker_that_dies_again_and_again_fails_the_run_with_words(jobs, home):
    key = jobs.submit(slow(50))
    last = 0.0
    for _ in range(4):  # Dask's allowed-failures is 3
        wait_for(lambda last=last: (jobs.store.record(key).started or 0.0) > last)
        last = jobs.store.record(key).started
        kill(device_worker(home))
    record = ended(jobs, key)
    assert record.state == "failed"
    assert "died several times" in record.error


def test_a_run_goes_on_without_the_web_server_that_asked(jobs, home):
    spec = slow(60)
    code = ("import os, signal, sys; from cache import Store; from app.workers.jobs import Jobs; from core.spec import RunSpec\n"
            "jobs = Jobs(Store()); jobs._connection.wait(); jobs.submit(RunSpec.model_validate_json(sys.argv[1]))\n"
            "import time; time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", code, spec.model_dump_json()], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    record = jobs.store.record(jobs.key(spec))
    assert record.active
    before = cluster.cluster_status(home)
    assert len(finished(jobs, record.key).layers) == LAYERS
    assert cluster.cluster_status(home) == before
    assert len(jobs.progress(record.key).layers) == LAYERS  # told to a client that came later


def test_a_dead_scheduler_s_queue_is_not_lost(jobs, home):
    running, waiting = jobs.submit(slow(70)), jobs.submit(quick(71))
    wait_for(lambda: blocks_done(jobs, running) >= 1)
    before = jobs.store.record(running).started
    kill(cluster.cluster_status(home)["processes"]["scheduler"])
    wait_for(lambda: jobs.store.record(running).started > before)  # by itself: nobody asks for progress

    jobs.close()  # the web server goes, then the scheduler again
    kill(cluster.cluster_status(home)["processes"]["scheduler"])
    later = Jobs(Store(home))
    later.recover()
    wait_for(lambda: later.store.record(waiting).state == "finished")
    assert finished(later, running).resumed_blocks >= 1
    later.close()


def test_nothing_is_started_to_recover_nothing(tmp_path, request):
    request.addfinalizer(lambda: cluster.stop_cluster(tmp_path))
    idle = Jobs(Store(tmp_path))
    idle.recover()
    assert idle.progress("a" * 64).layers == ()
    assert not idle._connection._looking
    assert cluster.cluster_status(tmp_path)["processes"] == {}


def test_words_for_what_went_wrong():
    class OutOfMemoryError(RuntimeError): ...  # torch's name for it on a GPU

    for error in (MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: ...")):
        assert tasks.failure_words(error) == tasks.MEMORY_WORDS
    assert tasks.failure_words(BadInput("m", 3, "1", "Do this.")) == "m: 3 cannot be used. Allowed: 1. Do this."
    assert tasks.failure_words(KeyError("x")) == "KeyError: 'x'"


def test_a_run_that_waits_for_lost_workers_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:9")
    monkeypatch.setattr("app.workers.connection._CONNECT_SECONDS", 1)
    store = Store(tmp_path)
    waiting = Jobs(store)
    key = waiting.submit(quick(1))
    wait_for(lambda: waiting.progress(key).problem)
    assert "cannot be reached" in waiting.progress(key).problem
    assert waiting.position(key) == 1
    waiting.close()
    store.close()


def test_what_an_idle_device_can_do_counts_for_the_plans_of_that_device(tmp_path):
    store = Store(tmp_path)
    tasks.see_rate(store)
    made = plan(RunSpec())
    assert made.matrix_rate is not None
    assert store.rate(made.device) > 0
    slow = made.model_copy(update={"matrix_rate": store.rate(made.device) / 4})
    store.put_plan("0" * 64, slow)
    assert store.plan("0" * 64).seconds == pytest.approx(slow.seconds / 4)
