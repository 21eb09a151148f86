"""Points for tests of figures, by hand: no run behind them."""

from app.shared.sweeps.points import Point
from core.records import Environment, Evaluated, Revisions
from core.spec import METHODS, Calibration, RunSpec, make_method, parse_pattern


def evaluated(perplexity, **more):
    told = {"tokens": 62, "windows": 2, "length": 32, "text": "a text", "text_sha256": "0" * 64, "dtype": "float32", **more}
    return Evaluated(perplexity=perplexity, **told)


def point(method="thanos", word="0.5", perplexity=31.0, *, alpha=0.0, budget="paper", seed=0, counted=None, seconds=1.0, error=0.01,
          device="CPU, 2 threads", key="", revisions=None, parameters=None, dense=29.0, text="a text", **spec):
    pattern = parse_pattern(word, alpha=alpha, alpha_budget=budget)
    share = counted if counted is not None else getattr(pattern, "sparsity", 0.5) * (1 - alpha if budget == "paper" else 1)
    made = RunSpec(method=make_method(method, **(parameters or {})), pattern=pattern, **{"calibration": Calibration(seed=seed), **spec})
    found = {"model": "m", "calibration": "c", "evaluation": "e", "method": METHODS[method].version, "core": 1} | (revisions or {})
    return Point(
        spec=made, revisions=Revisions(**found), dense=evaluated(dense, text=text), pruned=evaluated(perplexity, text=text),
        counted_sparsity=share, median_error=error, median_gap=0.5, seconds=10 * seconds, solve_seconds=seconds, key=key,
        peak_memory_bytes=700_000_000, calibration=f"20 windows of 32 tokens, seed {seed}",
        environment=Environment(python="3", torch="2", transformers="5", device=device, threads=2, started=1.7e9))
