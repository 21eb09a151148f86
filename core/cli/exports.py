"""Pruned models on the command line: where they are written, and runs read from files to compute them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from pydantic import ValidationError

from core.cli.options import notes, progress_bar
from core.records import RunResult
from core.spec import RunSpec
from core.spec.errors import BadInput, input_errors

if TYPE_CHECKING:
    from core.export.folder_journal import FolderJournal
    from core.models.placement import Streaming

SaveOption = Annotated[Path | None, typer.Option(help="Write the pruned model to this empty folder.")]
ZipOption = Annotated[Path | None, typer.Option("--zip", help="Write the pruned model's folder as one zip file, which must not exist yet.")]
RunArgument = Annotated[Path, typer.Argument(help="JSON file of a run: from prune --json, a browser's “Result as JSON”, prunescope.json or "
                                             "recipe.json of an exported folder, or the settings alone.", show_default=False)]
NumberOption = Annotated[int | None, typer.Option(min=1, help="Which run of a sweep's file, 1 for the first.")]
_SAME = 1e-6  # relative difference of perplexities up to which a run is called repeated
_RUN = "the JSON file of a run, or of its settings"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Folder and zip file that a pruned model is written to; either may be left out."""

    folder: Path | None
    archive: Path | None

    @property
    def wanted(self) -> bool:
        return self.folder is not None or self.archive is not None

    def check(self, spec: RunSpec) -> None:
        """Raises BadInput for what could not be written in the end: asked before anything is computed."""
        from core.export.folder import require_empty, require_exportable, take_back
        from core.export.room import require_room

        if self.folder is not None:
            take_back(self.folder)
            require_empty(self.folder)
        if self.archive is not None:
            if self.archive.exists():  # written by a command that was ended right behind it, perhaps
                self._beside(self.archive, spec).close()
            require_room(spec, self.archive)
        if self.wanted:
            require_exportable(spec)

    def journal(self, spec: RunSpec) -> FolderJournal:
        """The journal of a run that is written here: finished blocks go to the disk, and a run that was killed continues."""
        from core.export.folder_journal import FolderJournal

        if self.folder is not None:
            return FolderJournal(self.folder, spec, shards=not spec.pattern.shrinks)
        assert self.archive is not None
        return self._beside(self.archive, spec)

    @staticmethod
    def _beside(archive: Path, spec: RunSpec) -> FolderJournal:
        from core.export.folder_journal import FolderJournal

        return FolderJournal(archive.with_name(f".{archive.name}"), spec, shards=False)

    def write(self, result: RunResult, journal: FolderJournal, streaming: Streaming | None = None) -> RunResult:
        """Write the pruned model to each, with a progress bar on a terminal; returns the record with the comparison of the export."""
        from core.export.archive import write_model, write_zip

        try:
            if self.folder is not None:
                result = write_model(result, journal.weights, self.folder, written=journal.written, streaming=streaming)
            if self.archive is not None:
                with progress_bar() as bar:
                    line = bar.add_task(str(self.archive), total=1.0)
                    result = write_zip(result, journal.weights, self.archive, streaming=streaming,
                                       report=lambda words, share: bar.update(line, completed=share, description=words))
        finally:
            journal.close()
        return result


def read_run(file: Path, number: int | None) -> tuple[RunSpec, RunResult | None]:
    """The run in a JSON file, and its result where the file has it. Raises BadInput for a file that is something else."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput("run", str(file), _RUN, f"It cannot be read: {error}.") from error
    if isinstance(content, dict) and "runs" in content:
        content = _one(file, cast("dict[str, Any]", content)["runs"], number)
    if not isinstance(content, dict):
        raise BadInput("run", str(file), _RUN, "It holds something else.")
    words = cast("dict[str, Any]", content)
    try:
        if "layers" in words:
            result = RunResult.model_validate(words)
            return result.spec, result
        return RunSpec.model_validate(words.get("spec", words)), None
    except ValidationError as error:
        raise BadInput("run", str(file), _RUN, f"{input_errors(error)[0]}") from error


def tell_difference(recorded: RunResult | None, repeated: RunResult) -> None:
    """Say where the numbers computed again are not those of the record: another device, or another version of a library."""
    if recorded is None:
        return
    before, now = recorded.pruned.perplexity, repeated.pruned.perplexity
    if abs(now - before) > _SAME * before:
        notes.print(f"The record says perplexity {before:.4f}; computed again here it is {now:.4f} ({repeated.environment.device}, torch "
                    f"{repeated.environment.torch}; recorded on {recorded.environment.device}, torch {recorded.environment.torch}). "
                    "The files hold what was computed here.", highlight=False)


def _one(file: Path, runs: Any, number: int | None) -> Any:
    if not isinstance(runs, list) or not runs:
        raise BadInput("run", str(file), _RUN, "It holds no runs.")
    many = cast("list[Any]", runs)
    if number is None and len(many) > 1:
        raise BadInput("run", str(file), "one run", f"This file holds {len(many)}: say which with --number 1 to {len(many)}.")
    if number is not None and number > len(many):
        raise BadInput("number", number, f"1 to {len(many)}", f"{file} holds that many runs.")
    return many[(number or 1) - 1]
