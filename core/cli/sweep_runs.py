"""The runs of a sweep, one after the other: what an earlier sweep has done is taken over, what fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import remote
from core.cli.company import Asked, run_together
from core.cli.interrupted import SweepResults, continued, forget
from core.cli.large_files import read_large_files
from core.cli.options import complain
from core.cli.output import merge_runs, own_file, stored_runs, write_csv, write_json
from core.cli.screen import Screen
from core.cli.sweeps import same_dense
from core.cli.tables import table, texts_table
from core.cli.tasks import dense_scores, has_tasks, score, show_tasks
from core.records import Revisions, RunResult
from core.spec import RunSpec
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from core.evaluate.tasks import OpenTask

Run = Callable[..., RunResult]


def run_all(specs: Sequence[RunSpec], tasks: tuple[OpenTask, ...], run: Run, json_file: Path | None, csv_file: Path | None) -> None:
    """Every run of the grid; files grow with each. Raises PruneError at the end if some failed; their reasons are on standard error.
    On a scheduler (PRUNESCOPE_SCHEDULER) all that are not in the file yet are asked for at once."""
    with own_file(csv_file, "csv"):
        _run_all(specs, tasks, run, json_file, csv_file)


def _run_all(specs: Sequence[RunSpec], tasks: tuple[OpenTask, ...], run: Run, json_file: Path | None, csv_file: Path | None) -> None:
    from core.run.revisions import revisions

    on_screen = str(json_file) == "-"
    for spec in specs[:1]:
        read_large_files(spec)
    begun = [revisions(spec) for spec in specs]  # once: all runs of a table are of the same model and texts, or fail
    kept = SweepResults(specs, begun) if json_file is None or on_screen else None
    done = kept.read() if kept else stored_runs(json_file)
    known, asked = _known(done, specs, begun, tasks)
    if remote.wanted():
        run = remote.together([spec for spec, _ in asked], weights=bool(tasks))
    results, failed = [result for result in known if result is not None], 0
    places = {spec: place for place, spec in enumerate(specs)}

    def keep() -> None:
        if kept is not None:
            kept.write(results)
        elif json_file is not None:
            merge_runs(results, json_file)
        if csv_file is not None:
            write_csv(results, csv_file)

    def take(result: RunResult) -> None:
        results.append(result)
        results.sort(key=lambda one: places[one.spec])
        keep()

    if results:
        keep()
        for result in results:
            forget(result.spec, result.revisions)
    try:
        for some in _companies(asked, alone=bool(tasks) or remote.wanted()):
            left = list(some)
            if len(some) > 1:
                left, ended = run_together(some, results, take)
                failed += ended
            for spec, now in left:
                try:
                    take(_run_one(spec, now, tasks, run, results, f"{places[spec] + 1} of {len(specs)}: {spec.title}"))
                except PruneError as error:
                    failed += 1
                    complain(f"{spec.title}: {error}")
    finally:
        _show(results, json_file if on_screen else None)
    if kept is not None and not failed:
        kept.remove()
    if failed:
        raise PruneError(f"{failed} of {len(specs)} runs failed, for the reasons above.")


def _known(done: Sequence[RunResult], specs: Sequence[RunSpec], begun: Sequence[Revisions],
           tasks: tuple[OpenTask, ...]) -> tuple[list[RunResult | None], list[Asked]]:
    """For each run its finished result or None, and the runs that have none."""
    known = [next((result for result in done if result.spec == spec and result.revisions == now and has_tasks(result, tasks)), None)
             for spec, now in zip(specs, begun, strict=True)]
    return known, [(spec, now) for spec, now, found in zip(specs, begun, known, strict=True) if found is None]


def _companies(asked: Sequence[Asked], *, alone: bool) -> list[list[Asked]]:
    """Runs that can share a reading of their model, in the order of the first of each; every run `alone` where they cannot."""
    from core.run.pipeline import sharing

    if alone:
        return [[one] for one in asked]
    found: dict[object, list[Asked]] = {}
    for spec, now in asked:
        found.setdefault((sharing(spec), now), []).append((spec, now))
    return list(found.values())


def _run_one(spec: RunSpec, now: Revisions, tasks: tuple[OpenTask, ...], run: Run, results: Sequence[RunResult], title: str) -> RunResult:
    """A run, with its zero-shot scores; the dense model's figures come from a run that has measured them."""
    like = next((result for result in results if same_dense(result, spec, now)), None)
    with continued(spec, held=bool(tasks), expected=now) as journal:
        result = run(spec, journal=journal, dense=[text.dense for text in like.on_each_text] if like else None, expected=now, title=title)
        if not tasks:
            return result
        scores = score(spec, tasks, journal.weights, dense_scores(like) if like else None, shape=result.shape, expected=now.model)
        return result.model_copy(update={"tasks": scores})


def _show(results: Sequence[RunResult], stream: Path | None) -> None:
    """The table of a sweep, also of one that was stopped; or one JSON object on standard output."""
    if stream is not None:
        write_json({"runs": [result.model_dump(mode="json") for result in results]}, stream)
    elif results:
        Screen().print(table(results))
        if (more := texts_table(results)) is not None:
            Screen().print(more)
        for result in results:
            if result.tasks:
                Screen().print(result.spec.title, highlight=False)
                show_tasks(result.tasks)
