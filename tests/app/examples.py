"""Layers, results and points for tests of figures, by hand: no run behind them."""

from app.shared.sweeps.points import Point
from core.records import Environment, Evaluated, LayerRecord, Revisions, RunResult
from core.spec import EVERY_METHOD, Calibration, RunSpec, make_method, parse_pattern

MODULES = ("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj")


def evaluated(perplexity, **more):
    told = {"tokens": 62, "windows": 2, "length": 32, "text": "a text", "text_sha256": "0" * 64, "dtype": "float32", **more}
    return Evaluated(perplexity=perplexity, **told)


def point(method="thanos", word="0.5", perplexity=31.0, *, alpha=0.0, budget="paper", seed=0, counted=None, seconds=1.0, error=0.01,
          device="CPU, 2 threads", key="", revisions=None, parameters=None, dense=29.0, text="a text", **spec):
    pattern = parse_pattern(word, alpha=alpha, alpha_budget=budget)
    share = counted if counted is not None else getattr(pattern, "sparsity", 0.5) * (1 - alpha if budget == "paper" else 1)
    made = RunSpec(method=make_method(method, **(parameters or {})), pattern=pattern, **{"calibration": Calibration(seed=seed), **spec})
    found = {"model": "m", "calibration": "c", "evaluation": "e", "method": EVERY_METHOD[method].version, "core": 1} | (revisions or {})
    return Point(
        spec=made, revisions=Revisions(**found), dense=evaluated(dense, text=text), pruned=evaluated(perplexity, text=text),
        counted_sparsity=share, median_error=error, median_gap=0.5, seconds=10 * seconds, solve_seconds=seconds, key=key,
        peak_memory_bytes=700_000_000, calibration=f"20 windows of 32 tokens, seed {seed}",
        environment=Environment(python="3", torch="2", transformers="5", device=device, threads=2, started=1.7e9))


def layer(block, module, error, optimum, **more):
    return LayerRecord(name=f"model.layers.{block}.{module}", block=block, module=module, shape=(8, 12), counted_sparsity=0.5,
                       relative_error=error, optimum_error=optimum, seconds=0.1, tokens=640, **more)


def layers(blocks=3, low=0.01):
    return tuple(layer(block, module, low * (1 + block + place), low * (1 + block + place) / 2)
                 for block in range(blocks) for place, module in enumerate(MODULES))


def result(found=None, *, dense=14.98, pruned=15.59, **spec):
    def evaluated(value):
        return Evaluated(perplexity=value, tokens=62, windows=2, length=32, text="a text", text_sha256="0" * 64, dtype="float32")

    return RunResult(
        spec=RunSpec(**spec), revisions=Revisions(model="m", calibration="c", evaluation="e", method=1, core=1),
        dense=evaluated(dense), pruned=evaluated(pruned), counted_sparsity=0.5, layers=found or layers(),
        calibration="20 windows of 32 tokens", seconds=4.1, stages={"solve": 2.0}, peak_memory_bytes=612_000_000,
        environment=Environment(python="3", torch="2", transformers="5", device="cpu", threads=2, started=1.7e9))
