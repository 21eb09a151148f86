"""Runs of a sweep that share one reading of their model, with one progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress

from core.cli.interrupted import continued
from core.cli.options import complain, notes, progress_bar
from core.cli.sweeps import same_dense
from core.records import Event, Revisions, RunResult
from core.spec import RunSpec
from core.spec.errors import InputChanged, PruneError

Asked = tuple[RunSpec, Revisions]


def run_together(some: Sequence[Asked], results: Sequence[RunResult], take: Callable[[RunResult], None]) -> tuple[list[Asked], int]:
    """Run them; `take` gets each result. Returns those that are still to be run by themselves, as together they did not fit into memory,
    and the number of those that failed, their reasons told."""
    from core.run.pipeline import prune_together

    specs, ended = [spec for spec, _ in some], dict[int, PruneError | None]()
    like = next((result for result in results if same_dense(result, *some[0])), None)
    try:
        with ExitStack() as every:
            kept = [every.enter_context(ExitStack()) for _ in specs]
            journals = [stack.enter_context(continued(spec, held=False, expected=now))
                        for stack, (spec, now) in zip(kept, some, strict=True)]
            dense = [text.dense for text in like.on_each_text] if like else None
            for index, event in _shown(specs, prune_together(specs, journals=journals, dense=dense, expected=some[0][1])):
                if isinstance(event, PruneError):
                    ended[index] = event
                    complain(f"{specs[index].title}: {event}")
                    with suppress(PruneError):
                        kept[index].__exit__(type(event), event, None)
                elif event.kind == "finished":
                    ended[index] = None
                    take(event.result)
                    kept[index].close()
    except InputChanged as error:  # by themselves they would fail as well
        for index, spec in enumerate(specs):
            if index not in ended:
                ended[index] = error
                complain(f"{spec.title}: {error}")
    except PruneError as error:
        notes.print(f"{error} The runs that are left are made one by one.", markup=False, highlight=False, soft_wrap=True)
    left = [one for index, one in enumerate(some) if index not in ended]
    return left, sum(error is not None for error in ended.values())


def _shown(specs: Sequence[RunSpec], told: Iterable[tuple[int, Event | PruneError]]) -> Iterator[tuple[int, Event | PruneError]]:
    """The events, with the mean progress of all runs on a terminal."""
    fractions = [0.0] * len(specs)
    name = f"{len(specs)} runs together"
    with progress_bar() as bar:
        task = bar.add_task(name, total=1.0)
        for index, event in told:
            if isinstance(event, PruneError) or event.kind == "finished":
                fractions[index] = 1.0
            elif event.kind == "progress":
                fractions[index] = event.fraction
                where = f"block {event.block + 1} of {event.blocks} · {event.stage} · {specs[index].title}" if event.blocks else "loading"
                bar.update(task, completed=sum(fractions) / len(fractions), description=f"{name} · {where}")
            yield index, event
