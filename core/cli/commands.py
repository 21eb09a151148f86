"""The command line: `python -m core prune | plan | sweep | evaluate | input-guided | export | methods | models | doctor`.

Flags are the words of core/spec/flags.py."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from core.cli.exports import Destination, NumberOption, RunArgument, SaveOption, ZipOption, read_run, tell_difference
from core.cli.guided import input_guided
from core.cli.interrupted import CommandJournal, continued
from core.cli.large_files import read_large_files
from core.cli.listings import show_methods, show_models
from core.cli.options import JsonOption, StreamOption, complaining, not_evaluated, spec_flags, spec_of, streaming
from core.cli.output import further_lines, require_writable, show, show_all, show_export, write_json
from core.cli.plans import plan
from core.cli.running import run
from core.cli.screen import Screen
from core.cli.speed import BATCHES, BatchesOption, NewOption, PromptOption, SpeedOption, measure, open_workload, show_size_and_speed
from core.cli.sweep_runs import run_all
from core.cli.sweeps import grid
from core.cli.tasks import FolderOption, LimitOption, TasksOption, open_asked, require_memory, score, show_tasks
from core.spec.errors import BadInput
from core.spec.methods.table import methods_table

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="One-shot pruning of language models. Pattern words: 0.5 or 50% (unstructured), 2:4 (n zeros in every m), "
                  "columns:0.3 (whole input columns); and three after which the model is smaller: neurons:0.3 (of the MLPs), "
                  "heads:2 (of every attention), blocks:2.")

app.command()(plan)
app.command()(input_guided)


@app.command()
@spec_flags()
def prune(words: dict[str, str], json_file: JsonOption = None, save: SaveOption = None, zip_file: ZipOption = None,
          stream: StreamOption = None, tasks: TasksOption = None, task_folder: FolderOption = None, limit: LimitOption = None,
          speed: SpeedOption = False, batch_sizes: BatchesOption = BATCHES, prompt_tokens: PromptOption = None,
          new_tokens: NewOption = None) -> None:
    """Prune a model and measure its perplexity before and after; with --tasks its zero-shot scores, with --speed its size and speed.
    A command that was ended before it was finished goes on after its last finished block when it is given again."""
    spec = spec_of(words)
    require_writable(json_file, "json")
    target = Destination(folder=save, archive=zip_file)
    target.check(spec)
    asked = open_asked(tasks, task_folder, limit)
    work = open_workload(spec, speed, batch_sizes, prompt_tokens, new_tokens)
    require_memory(spec, asked, work, pruned=True)
    blocks = target.journal(spec) if target.wanted else None
    kept = continued(spec, held=bool(asked or work)) if blocks is None else nullcontext(blocks)
    with kept as journal:
        expected = journal.revisions if isinstance(journal, CommandJournal) else None
        result = run(spec, journal=journal, expected=expected, streaming=streaming(stream))
        if asked:
            scores = score(spec, asked, journal.weights, shape=result.shape, expected=result.revisions.model)
            result = result.model_copy(update={"tasks": scores})
        if work:
            sizes, measured = measure(spec, work, journal.weights, shape=result.shape, expected=result.revisions.model)
            result = result.model_copy(update={"size": sizes, "speed": measured})
        if str(json_file) != "-":
            show_all(result)
        try:
            if blocks is not None:
                result = target.write(result, blocks, streaming(stream))
                if str(json_file) != "-":
                    show_export(result)
        finally:  # the numbers of a run whose model could not be written are kept
            write_json(result.model_dump(mode="json"), json_file)


@app.command()
@spec_flags("method", "pattern", "block_size", "alpha", "seed")
def sweep(words: dict[str, str], json_file: JsonOption = None,
          csv_file: Annotated[Path | None, typer.Option("--csv", help="Write one line a run to FILE.")] = None,
          methods: Annotated[str, typer.Option(help="Methods, with commas.")] = "magnitude,wanda,sparsegpt,thanos",
          patterns: Annotated[str, typer.Option(help="Pattern words, with commas.")] = "0.5",
          block_sizes: Annotated[str, typer.Option(help="Values of B, with commas; 'auto' is the method's own.")] = "auto",
          alphas: Annotated[str, typer.Option(help="Values of α, with commas.")] = "0",
          seeds: Annotated[str, typer.Option(help="Seeds of the calibration windows, with commas.")] = "0",
          tasks: TasksOption = None, task_folder: FolderOption = None, limit: LimitOption = None) -> None:
    """A grid of runs: methods × patterns × B × α × seeds. A combination without a meaning is left out, with the reason, and where a run
    fails the others go on. The same command continues an interrupted sweep: finished runs are taken over, from the file of --json or,
    without one, from HOME/unfinished; within a run it goes on after the last finished block."""
    specs = grid(words, methods=methods, patterns=patterns, block_sizes=block_sizes, alphas=alphas, seeds=seeds)
    require_writable(json_file, "json")
    require_writable(csv_file, "csv")
    asked = open_asked(tasks, task_folder, limit)
    for spec in specs[:1]:  # all are of one model
        require_memory(spec, asked, pruned=True)
    run_all(specs, asked, run, json_file, csv_file)


@app.command()
@spec_flags(*not_evaluated())
def evaluate(words: dict[str, str], json_file: JsonOption = None, stream: StreamOption = None, tasks: TasksOption = None,
             task_folder: FolderOption = None, limit: LimitOption = None, speed: SpeedOption = False, batch_sizes: BatchesOption = BATCHES,
             prompt_tokens: PromptOption = None, new_tokens: NewOption = None) -> None:
    """The perplexity of a model as it is; with --tasks its zero-shot scores, with --speed its size and speed."""
    from core.run.evaluation import evaluate_texts

    spec = spec_of(words)
    require_writable(json_file, "json")
    asked = open_asked(tasks, task_folder, limit)
    work = open_workload(spec, speed, batch_sizes, prompt_tokens, new_tokens)
    require_memory(spec, asked, work, pruned=False)
    read_large_files(spec)
    found, *further = evaluate_texts(spec, streaming=streaming(stream))
    scores = score(spec, asked) if asked else {}
    measured = measure(spec, work) if work else None
    if str(json_file) != "-":
        Screen().print(f"perplexity {found.perplexity:.2f}  ({found.protocol})", highlight=False)
        further_lines((f"{text.perplexity:.2f}", text) for text in further)
        if scores:
            show_tasks(scores)
        if measured:
            show_size_and_speed(*measured)
    more = {"tasks": {name: one.model_dump(mode="json") for name, one in scores.items()}} if scores else {}
    more |= {name: one.model_dump(mode="json") for name, one in zip(("size", "speed"), measured or (), strict=False)}
    more |= {"further_evaluations": [text.model_dump(mode="json") for text in further]} if further else {}
    write_json(found.model_dump(mode="json") | more, json_file)


@app.command()
def export(run_file: RunArgument, save: SaveOption = None, zip_file: ZipOption = None, number: NumberOption = None,
           stream: StreamOption = None) -> None:
    """Write the pruned model of a run that was computed before, as a Hugging Face folder or as a zip of one. Its weights are computed
    again from the settings in the file, on the same revisions of model and texts."""
    with complaining():
        spec, recorded = read_run(run_file, number)
        target = Destination(folder=save, archive=zip_file)
        if not target.wanted:
            raise BadInput("save", "nothing", "--save FOLDER, --zip FILE or both", "Say where the pruned model is to be written.")
        target.check(spec)
        journal = target.journal(spec)
        result = run(spec, journal=journal, expected=recorded and recorded.revisions, streaming=streaming(stream))
        show(result)
        tell_difference(recorded, result)
        if recorded is not None:
            result = result.model_copy(update={"tasks": recorded.tasks})
        show_export(target.write(result, journal, streaming(stream)))


@app.command()
def methods(markdown: Annotated[bool, typer.Option(help="Write the table of docs/methods/README.md.")] = False) -> None:
    """The methods and their parameters."""
    if markdown:
        sys.stdout.write(f"{methods_table()}\n")
        return
    show_methods()


@app.command()
def models() -> None:
    """The models at hand: the demo, the folders below PRUNESCOPE_MODELS, the hub's cache on this machine."""
    show_models()


@app.command()
def doctor(json_file: JsonOption = None) -> None:
    """Look at what this machine has for pruning, and say how to mend what is missing. Ends with status 1 where something is wrong."""
    from core.cli.doctor import examine, show_checks

    checks = list(examine()) if str(json_file) == "-" else show_checks(examine())
    write_json({"checks": [check.model_dump(mode="json") for check in checks]}, json_file)
    raise typer.Exit(1 if any(check.state == "wrong" for check in checks) else 0)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)
def clean(context: typer.Context) -> None:
    """Free disk space of stored runs: what is old or too much, never what is pinned. Says what would go; --yes does it."""
    raise typer.Exit(subprocess.run([sys.executable, "-m", "cache", *context.args], check=False).returncode)


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch: threads that spin on take each other's cores
    app(prog_name="python -m core")
