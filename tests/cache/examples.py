"""Small records and results for the tests of cache and app."""

import hashlib

from cache import RunRecord
from core.records import Environment, Evaluated, LayerRecord, Plan, PlannedLayer, Revisions, RunResult
from core.spec import RunSpec

REVISIONS = Revisions(model="m1", calibration="c1", evaluation="e1", method=1, core=1)


def key_of(word: object) -> str:
    return hashlib.sha256(str(word).encode()).hexdigest()


def record_of(word: object = "run", **changes: object) -> RunRecord:
    return RunRecord.model_validate({"key": key_of(word), "spec": RunSpec(), "state": "queued", "submitted": 1.0, **changes})


def evaluated(perplexity: float = 7.25) -> Evaluated:
    return Evaluated(perplexity=perplexity, tokens=100, windows=2, length=51, text="text", text_sha256="ab", dtype="float32")


def layer_record(block: int = 0, error: float = 0.1) -> LayerRecord:
    return LayerRecord(name=f"layers.{block}.q", block=block, module="q", shape=(4, 4), counted_sparsity=0.5, relative_error=error,
                       optimum_error=error / 2, seconds=0.1)


def result_of(spec: RunSpec | None = None, **changes: object) -> RunResult:
    return RunResult.model_validate({
        "spec": spec or RunSpec(), "revisions": REVISIONS, "dense": evaluated(), "pruned": evaluated(8.5), "counted_sparsity": 0.5,
        "layers": (layer_record(),), "calibration": "128 windows", "seconds": 2.5, "stages": {"solve": 1.0},
        "peak_memory_bytes": 10, "environment": Environment(python="3", torch="2", transformers="5", device="cpu", threads=1,
                                                            started=0.0), **changes})


def plan_of(**changes: object) -> Plan:
    layer = PlannedLayer(name="q", block=0, module="q", rows=4, columns=4, pruned=8, dense_rows=0)
    return Plan.model_validate({
        "layers": (layer,), "parameters": 16, "blocks": 1, "context": 64, "family": "llama", "device": "cpu", "calibration": "c",
        "evaluation": "e", "seconds": 1.0, "memory_bytes": 1, "disk_bytes": 1, **changes})
