"""Compute the shipped runs anew: `python -m app.gallery` (make gallery). Needs the demo model; about an hour on two threads.

    *.json          RunResults in full: what Explore shows at a first visit
    sweep.jsonl     Points: what the curves show at a first visit, in the order of `wanted`
    scored.jsonl    RunResults with zero-shot scores, without layers and windows: accuracy over sparsity

`--only frontier,thanos` computes these methods and leaves the rest; `--missing` computes what is not there for today's model, texts
and versions, or has no losses of its windows, no scores, or no speed where it should; `--keep-times` leaves seconds, memory and machine of
a run that is there and comes to the same perplexity as they are: for a busy machine. Each run has a process of its own, so that its peak
memory is its own; what is finished is written at once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from app.gallery.compute import compute
from app.shared.alpha_sweep import MODEL_DRAWS, SEEDS
from app.shared.shipped import POINTS
from app.shared.sweeps.grid import SHAPE_METHODS, SHAPE_PATTERNS, SHOWN_METHODS, SHOWN_PATTERNS, Sweep, shipped
from app.shared.sweeps.points import Point, point_of, read_points, write_points
from core.evaluate.embedded_task import NAME
from core.records import Evaluated, RunResult, TaskScores
from core.run.revisions import revisions
from core.spec import EVERY_METHOD, Calibration, RunSpec, make_method, parse_pattern, pattern_word

FOLDER = Path(__file__).parent

PATTERNS_SHOWN = ("0.5", "2:4", "columns:0.3")
FULL = tuple(RunSpec(method=make_method(name), pattern=parse_pattern(word)) for name in SHOWN_METHODS for word in PATTERNS_SHOWN)
SCORED_METHODS = ("magnitude", "wanda", "sparsegpt", "thanos", "admm-grad")
SCORED = Sweep(methods=SCORED_METHODS, patterns=SHOWN_PATTERNS["unstructured"]).grid().specs
_SHRINKING = tuple(word for word in SHAPE_PATTERNS if parse_pattern(word).shrinks)
TIMED = Sweep(methods=SHAPE_METHODS, patterns=("0.3", "0.6", *_SHRINKING), fitting=True).grid().specs  # size and speed as well
# As many random rows as α = 0.1 keeps: beside the runs over α they tell whether it is the energy that pays.
RANDOM_ROWS = tuple(RunSpec(pattern=parse_pattern("columns:0.3", alpha=0.1), calibration=Calibration(seed=seed), random_rows=draw)
                    for seed in range(SEEDS) for draw in range(MODEL_DRAWS))
SCORES = FOLDER / "scored.jsonl"
SAME = 1e-3  # relative difference of two perplexities of a run: sums in another order change a few entries of a mask
_Run = TypeVar("_Run", RunResult, Point)


def wanted() -> tuple[RunSpec, ...]:
    """Every shipped run once: those in full first, then what the curves ask for at a first visit."""
    return tuple(dict.fromkeys((*FULL, *(spec for sweep in shipped() for spec in sweep.grid().specs), *RANDOM_ROWS)))


def keep(result: RunResult, *, keep_times: bool = False) -> None:
    """Write a result to its places."""
    if result.tasks:
        _keep_scores(result)
    result = result.model_copy(update={"tasks": None})
    if result.spec in FULL:
        before = known().get(result.spec) if keep_times else None
        result = _with_times(result, before, "seconds", "stages", "peak_memory_bytes", "environment")
        if before is not None and result.seconds == before.seconds:
            layers = (layer.model_copy(update={"seconds": old.seconds}) for layer, old in zip(result.layers, before.layers, strict=True))
            result = result.model_copy(update={"layers": tuple(layers)})
        (FOLDER / file_name(result.spec)).write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return
    points, order = {other.spec: other for other in read_points(POINTS)}, {spec: place for place, spec in enumerate(wanted())}
    before = points.get(result.spec) if keep_times else None
    kept = ("seconds", "solve_seconds", "peak_memory_bytes", "environment", *(("worth",) if before is not None and before.worth else ()))
    points[result.spec] = _with_times(point_of(result), before, *kept)
    write_points(POINTS, sorted((point for point in points.values() if point.spec in order), key=lambda other: order[other.spec]))


def _with_times(run: _Run, before: _Run | None, *fields: str) -> _Run:
    """A run with the times of an earlier one, where that came to the same."""
    if before is None or before.revisions != run.revisions:
        return run
    if abs(before.pruned.perplexity - run.pruned.perplexity) > SAME * run.pruned.perplexity:
        return run
    return run.model_copy(update={field: getattr(before, field) for field in fields})


def _keep_scores(result: RunResult) -> None:
    lean = {name: getattr(result, name).model_copy(update={"losses": None}) for name in ("dense", "pruned")}
    found = {other.spec: other for other in (*scored(), result.model_copy(update={"layers": (), **lean}))}
    lines = "".join(f"{found[spec].model_dump_json()}\n" for spec in SCORED if spec in found)
    SCORES.write_text(lines, encoding="utf-8")


def scored() -> tuple[RunResult, ...]:
    """The results with scores that are there."""
    return tuple(RunResult.model_validate_json(line) for line in SCORES.read_text(encoding="utf-8").splitlines()) if SCORES.exists() else ()


def file_name(spec: RunSpec) -> str:
    """The default run sorts first: it is what a first visit shows."""
    first = "0-" if spec == RunSpec() else ""
    return f"{first}{spec.method.name}-{pattern_word(spec.pattern).replace(':', '-')}.json"


def known() -> dict[RunSpec, RunResult]:
    """The results in full that are there and can be read."""
    found: dict[RunSpec, RunResult] = {}
    for file in sorted(FOLDER.glob("*.json")):
        try:
            result = RunResult.model_validate_json(file.read_bytes())
        except ValueError:
            continue
        found[result.spec] = result
    return found


def main(words: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m app.gallery", description="Compute the shipped runs anew.")
    parser.add_argument("--only", default=",".join(EVERY_METHOD), help="methods, with commas")
    parser.add_argument("--missing", action="store_true", help="only what is not there, or was made with other inputs or versions")
    parser.add_argument("--keep-times", action="store_true", help="leave times of runs that come to the same as they are")
    chosen = parser.parse_args(None if words is None else list(words))
    specs = [spec for spec in wanted() if spec.method.name in chosen.only.split(",")]
    if chosen.missing:
        whole = _whole()
        specs = [spec for spec in specs if spec not in whole]
    if specs:
        _compute_all(sorted(specs, key=lambda spec: spec not in SCORED), keep_times=chosen.keep_times)


def _whole() -> set[RunSpec]:
    """The shipped runs that need not be computed again."""
    there = {result.spec: result for result in (*known().values(), *read_points(POINTS))}
    scores = {result.spec: result.revisions for result in scored()}
    now = {spec: revisions(spec) for spec in there}
    return set(spec for spec, result in there.items() if result.revisions == now[spec] and result.pruned.losses and result.dense.losses
               and (spec not in SCORED or scores.get(spec) == now[spec])
               and (spec not in TIMED or (isinstance(result, Point) and result.worth)))


def _compute_all(specs: list[RunSpec], *, keep_times: bool) -> None:
    begun = [revisions(spec) for spec in specs]  # once: all shipped runs are of the same model and texts
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["core.run.pipeline", "core.evaluate.zero_shot"])
    dense: Evaluated | None = None
    scores: dict[str, TaskScores] = {}
    with context.Pool(1, maxtasksperchild=1) as pool:
        for number, (spec, expected) in enumerate(zip(specs, begun, strict=True), 1):
            result = pool.apply(compute, (spec, expected, dense, (NAME,) if spec in SCORED else (), scores), {"timed": spec in TIMED})
            dense = result.dense
            scores |= {name: found.dense for name, found in (result.tasks or {}).items() if found.dense}
            keep(result, keep_times=keep_times)
            sys.stdout.write(f"{number} of {len(specs)}: {spec.title}, α {spec.pattern.outlier_rows:g}, seed {spec.calibration.seed}: "
                             f"{result.pruned.perplexity:.2f} in {result.seconds:.1f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
