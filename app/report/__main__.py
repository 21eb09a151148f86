"""`python -m app.report RUN... -o report.html`: a report without the app. A run is a key of the store, gallery:NAME, or a file of JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.report import file_name, report
from app.report.masks import overlap_questions
from app.shared import numbers
from app.shared.shipped import GALLERY
from cache.keys import is_key
from cache.store import Store
from core.records import RunResult
from core.records.overlaps import Overlaps
from core.spec.errors import BadInput, PruneError

_ALLOWED = "a key (64 digits and letters a to f), gallery:NAME, or a JSON file of `core prune --json` or `core sweep --json`"


def read_runs(word: str) -> list[tuple[str | None, RunResult]]:
    """The runs that a word names, each with its key where the word is one. Raises BadInput for one that names none."""
    if is_key(word):
        found = Store().result(word)
        if found is None:
            raise BadInput("run", word, "the keys of finished runs in this store", "Is PRUNESCOPE_HOME the one of the app?")
        return [(word, found)]
    if word.startswith("gallery:"):
        names = {path.stem.removeprefix("0-"): path for path in sorted(GALLERY.glob("*.json"))}
        name = word.removeprefix("gallery:")
        if name not in names:
            raise BadInput("run", word, ", ".join(f"gallery:{name}" for name in names), "Choose one of these.")
        return [(None, RunResult.model_validate_json(names[name].read_bytes()))]
    try:
        content = json.loads(Path(word).read_bytes())
        return [(None, RunResult.model_validate(entry)) for entry in content.get("runs", [content])]
    except OSError as error:
        raise BadInput("run", word, _ALLOWED, f"{error.strerror}.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput("run", word, _ALLOWED, "This file holds something else.") from error


def main(runs: Annotated[list[str], typer.Argument(help=f"Each {_ALLOWED}.")],
         output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write. By default named after the run.")] = None
         ) -> None:
    """Write one HTML file that shows these runs side by side, or a single one, and opens without a server or a network."""
    try:
        found = [run for word in runs for run in read_runs(word)]
        if not found:
            raise BadInput("run", ", ".join(runs), _ALLOWED, "There is no run in it.")
        results = [result for _, result in found]
        masks = _masks(results, [key for key, _ in found])
        target = output or Path(f"{file_name(results)}.html")
        try:
            target.write_text(report(results, masks=masks), encoding="utf-8")
        except OSError as error:
            raise BadInput("output", target, "a file that can be written", f"{error.strerror}.") from error
    except PruneError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{target}: {len(results)} {'run' if len(results) == 1 else 'runs'}, {numbers.size(target.stat().st_size)}")


def _masks(results: Sequence[RunResult], keys: Sequence[str | None]) -> list[Overlaps | str]:
    """Overlap of the masks, counted from the weights that the store keeps; or why that cannot be known."""
    store = Store()
    masks: list[Overlaps | str] = []
    for question in overlap_questions(store, results, keys):
        try:
            masks.append(question if isinstance(question, str) else question.answer_from(store))
        except BadInput as error:
            masks.append(f"The masks cannot be compared. {error}")
    return masks


if __name__ == "__main__":
    typer.run(main)
