"""A home with an entry of every kind, and what a reader finds in one. `python -m tests.cache.homes FOLDER` keeps one as text files."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from cache import Store
from cache.exports import Export
from cache.scores import Scoring
from core.models.grams import InputStatistics
from core.records import SeenRate
from core.records.tasks import Score, TaskScores
from core.run.journal import BlockState
from core.spec import RunSpec, SparseGPT, Unstructured
from tests.cache.examples import evaluated, key_of, layer_record, plan_of, record_of, result_of

TABLES = ("records", "documents")
SCORES = TaskScores(examples=2, available=4, shots=0, chance=0.5, truncated=0, version="1", content="c",
                    scores={"acc": Score(value=0.5, stderr=0.5)}, outcomes={"acc": "10"})


def fill(home: Path) -> None:
    """Write an entry of every kind."""
    store, key = Store(home), key_of("finished")
    spec = RunSpec(method=SparseGPT(block_size=64), pattern=Unstructured(sparsity=0.6, outlier_rows=0.1))
    finished = record_of("finished", spec=spec, submitted=1.0, started=2.0, pinned=True, name="A name", note="A note").finished(
        result_of(spec))
    store.put_record(finished.model_copy(update={"ended": 5.0}))
    store.put_record(record_of("failed", submitted=2.0).failed("for a reason").model_copy(update={"ended": 5.0}))
    store.put_record(record_of("queued", submitted=3.0, group="somebody-curves", turn=("somebody", 1.0), paused=True, estimated=4.0))
    store.put_result(key, result_of(spec))
    store.put_plan(key, plan_of())
    store.put_dense(key, evaluated())
    store._write("rate-cpu", SeenRate(rate=1e9, when=1.0))
    store.scores.put(key, SCORES)
    store.scores.add(key, "task", SCORES)
    store.scores.requests.change(key, lambda _: Scoring(key=key, spec=spec, tasks=("task",), submitted=1.0))
    store.exports.requests.change(key, lambda _: Export(key=key, spec=spec, submitted=1.0, name="model", ticket="t" * 24))
    store.pause_queue(True)
    weights = {"q": torch.arange(16.0).reshape(4, 4)}
    store.journal(key).write(0, BlockState(layers=(layer_record(),), weights=weights))
    inputs = InputStatistics(layers=("q",), tokens=8, gram=torch.eye(4), mean=torch.zeros(4))
    store.grams(key_of("grams")).write(0, (inputs,))
    store.close()


def read(home: Path) -> dict[str, object]:
    """All that can be read of a home: entries by their kind, None where an entry is missing."""
    store, key = Store(home), key_of("finished")
    try:
        block = store.journal(key).read(0)
        grams = store.grams(key_of("grams")).read(0)
        found: dict[str, Callable[[], object]] = {
            **{f"record-{name}": (lambda name=name: store.record(key_of(name))) for name in ("finished", "failed", "queued")},
            "result": lambda: store.result(key), "plan": lambda: store.plan(key), "dense": lambda: store.dense(key),
            "scores": lambda: store.scores.result(key), "scored": lambda: store.scores.of_run(key) or None,
            "scoring": lambda: store.scores.requests.read(key), "export": lambda: store.exports.requests.read(key),
            "pause": lambda: store.queue_pause().since is not None or None,
            "block": lambda: block and (block.layers, {name: weight.tolist() for name, weight in block.weights.items()}),
            "grams": lambda: grams and [(item.layers, item.tokens, item.gram.tolist(), item.mean.tolist()) for item in grams]}
        return {kind: get() for kind, get in found.items()}
    finally:
        store.close()


def keep(folder: Path) -> None:
    """Keep a home as files that can be read: the databases as SQL, the rest as it is; and what is found in it, as JSON."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        fill(home)
        folder.mkdir(parents=True)
        for table in TABLES:
            connection = sqlite3.connect(home / "store" / table / "cache.db")
            (folder / f"{table}.sql").write_text("\n".join(connection.iterdump()), encoding="utf-8")
            connection.close()
        for name in ("journals", "grams"):
            shutil.copytree(home / name, folder / name)
        (folder / "found.json").write_text(json.dumps(plain(read(home)), indent=1, sort_keys=True), encoding="utf-8")


def restore(folder: Path, home: Path) -> None:
    """Make a home of the files that `keep` wrote."""
    for table in TABLES:
        (home / "store" / table).mkdir(parents=True)
        connection = sqlite3.connect(home / "store" / table / "cache.db")
        connection.executescript((folder / f"{table}.sql").read_text(encoding="utf-8"))
        connection.close()
    for name in ("journals", "grams"):
        shutil.copytree(folder / name, home / name)


def plain(found: dict[str, object]) -> dict[str, object]:
    """What was found, as JSON has it."""
    return json.loads(json.dumps(found, default=lambda item: item.model_dump(mode="json")))


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
