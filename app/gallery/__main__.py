"""Compute the shipped runs anew: `python -m app.gallery` (make gallery). Needs the demo model; about an hour on two threads.

    *.json         RunResults in full: what Explore shows at a first visit
    sweep.jsonl    Points: what the curves show at a first visit, in the order of `wanted`

`--only frontier,thanos` computes these methods and leaves the rest; `--missing` computes what is not there for today's model, texts
and versions. Each run has a process of its own, so that its peak memory is its own; what is finished is written at once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterable
from pathlib import Path

from app.gallery.compute import compute
from app.shared.shipped import POINTS
from app.shared.sweeps.grid import SHOWN_METHODS, shipped
from app.shared.sweeps.points import point_of, read_points, write_points
from core.records import Evaluated, RunResult
from core.run.revisions import revisions
from core.spec import METHODS, RunSpec, make_method, parse_pattern, pattern_word

FOLDER = Path(__file__).parent

PATTERNS_SHOWN = ("0.5", "2:4", "columns:0.3")
FULL = tuple(RunSpec(method=make_method(name), pattern=parse_pattern(word)) for name in SHOWN_METHODS for word in PATTERNS_SHOWN)


def wanted() -> tuple[RunSpec, ...]:
    """Every shipped run once: those in full first, then what the curves ask for at a first visit."""
    return tuple(dict.fromkeys((*FULL, *(spec for sweep in shipped() for spec in sweep.grid().specs))))


def keep(result: RunResult) -> None:
    """Write a result to its place."""
    if result.spec in FULL:
        (FOLDER / file_name(result.spec)).write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return
    point, order = point_of(result), {spec: place for place, spec in enumerate(wanted())}
    points = {other.spec: other for other in (*read_points(POINTS), point) if other.spec in order}
    write_points(POINTS, sorted(points.values(), key=lambda other: order[other.spec]))


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
    parser.add_argument("--only", default=",".join(METHODS), help="methods, with commas")
    parser.add_argument("--missing", action="store_true", help="only what is not there, or was made with other inputs or versions")
    chosen = parser.parse_args(None if words is None else list(words))
    specs = [spec for spec in wanted() if spec.method.name in chosen.only.split(",")]
    if chosen.missing:
        there = {result.spec: result.revisions for result in (*known().values(), *read_points(POINTS))}
        specs = [spec for spec in specs if there.get(spec) != revisions(spec)]
    if not specs:
        return
    begun = [revisions(spec) for spec in specs]  # once: all shipped runs are of the same model and texts
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["core.run.pipeline"])
    dense: Evaluated | None = None
    with context.Pool(1, maxtasksperchild=1) as pool:
        for number, (spec, expected) in enumerate(zip(specs, begun, strict=True), 1):
            result = pool.apply(compute, (spec, expected, dense))
            dense = result.dense
            keep(result)
            sys.stdout.write(f"{number} of {len(specs)}: {spec.title}, α {spec.pattern.outlier_rows:g}, seed {spec.calibration.seed}: "
                             f"{result.pruned.perplexity:.2f} in {result.seconds:.1f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
