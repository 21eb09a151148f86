"""The command line: `python -m core prune | sweep | evaluate | methods | models`. The flags are the words of core/words.py."""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from core.errors import BadInput, PruneError
from core.records import Evaluated, RunResult
from core.spec import METHODS, RunSpec
from core.words import WORDS, check_words, describe_word
from core.written import require_writable, show, stored_runs, table, write_csv, write_json

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="One-shot pruning of language models. Pattern words: 0.5 or 50% (unstructured), 2:4 (n zeros in every m), "
                  "columns:0.3 (whole input columns).")
notes = Console(stderr=True)
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the result as one JSON object to FILE; - is standard output.")]


def spec_flags(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag for each word of a run, gathered in its parameter `words`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "words"]
        flags = [_flag(word) for word in WORDS if word not in without]

        def wrapper(**given: Any) -> None:
            words = {flag.name: given.pop(flag.name) for flag in flags}
            texts = {word: str(value).lower() if isinstance(value, bool) else str(value)
                     for word, value in words.items() if value not in (None, False)}
            with complaining():
                command(words=texts, **given)

        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
        return wrapper

    return decorate


def _flag(word: str) -> inspect.Parameter:
    about = describe_word(word)
    kind = bool if about.switch else str
    option = typer.Option(f"--{word.replace('_', '-')}", help=about.text, metavar=None if about.switch else word.upper(),
                          show_default=False)
    return inspect.Parameter(word, inspect.Parameter.KEYWORD_ONLY, default=False if about.switch else None,
                             annotation=Annotated[kind | None if kind is str else bool, option])


@contextmanager
def complaining() -> Generator[None]:
    """What a person can mend ends the command with its text and exit status 2."""
    try:
        yield
    except PruneError as error:
        complain(str(error))
        raise typer.Exit(2) from error


def complain(text: str) -> None:
    notes.print(f"Error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def spec_of(words: dict[str, str]) -> RunSpec:
    """The run that the words ask for. Every word that cannot be used is said, then the command ends."""
    spec, refused = check_words(words)
    if spec is None:
        raise PruneError("\n       ".join(refused))
    return spec


def run(spec: RunSpec, *, journal: Any = None, dense: Evaluated | None = None, title: str = "") -> RunResult:
    """Drain `prune` with a progress bar on a terminal."""
    from core.pipeline import prune

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Bar(*columns, console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(title or spec.title, total=1.0)
        for event in prune(spec, journal=journal, dense=dense):
            if event.kind == "progress":
                where = f" · block {event.block + 1} of {event.blocks} · {event.stage}" if event.blocks else " · loading"
                bar.update(task, completed=event.fraction, description=(title or spec.title) + where)
            elif event.kind == "finished":
                return event.result
    raise AssertionError("a run ends with its result")


@app.command()
@spec_flags()
def prune(words: dict[str, str], json_file: JsonOption = None,
          save: Annotated[Path | None, typer.Option(help="Write the pruned model to this empty folder.")] = None) -> None:
    """Prune a model and measure its perplexity before and after."""
    spec = spec_of(words)
    require_writable(json_file, "json")
    from core.export import MemoryJournal, require_empty, save_checkpoint

    if save is not None:
        require_empty(save)
    journal = MemoryJournal() if save is not None else None
    result = run(spec, journal=journal)
    if str(json_file) != "-":
        show(result)
    write_json(result.model_dump(mode="json"), json_file)
    if journal is not None and save is not None:
        save_checkpoint(result, journal.weights, save)


@app.command()
@spec_flags("method", "pattern", "block_size", "alpha", "seed")
def sweep(words: dict[str, str], json_file: JsonOption = None,
          csv_file: Annotated[Path | None, typer.Option("--csv", help="Write one line a run to FILE.")] = None,
          methods: Annotated[str, typer.Option(help="Methods, with commas.")] = "magnitude,wanda,sparsegpt,thanos",
          patterns: Annotated[str, typer.Option(help="Pattern words, with commas.")] = "0.5",
          block_sizes: Annotated[str, typer.Option(help="Values of B, with commas; 'auto' is the method's own.")] = "auto",
          alphas: Annotated[str, typer.Option(help="Values of α, with commas.")] = "0",
          seeds: Annotated[str, typer.Option(help="Seeds of the calibration windows, with commas.")] = "0") -> None:
    """A grid of runs: methods × patterns × B × α × seeds. A combination without a meaning is left out, with the reason, and where a run
    fails the others go on. With --json FILE an interrupted sweep continues where it stopped."""
    specs = grid(words, methods=methods, patterns=patterns, block_sizes=block_sizes, alphas=alphas, seeds=seeds)
    require_writable(json_file, "json")
    require_writable(csv_file, "csv")
    done = stored_runs(json_file)
    results, failed, on_screen = list[RunResult](), 0, str(json_file) == "-"
    from core.revisions import revisions

    try:
        for index, spec in enumerate(specs):
            now = revisions(spec)
            found = next((result for result in done if result.spec == spec and result.revisions == now), None)
            dense = next((result.dense for result in results if same_dense(result, spec, now.model, now.evaluation)), None)
            try:
                results.append(found or run(spec, dense=dense, title=f"{index + 1} of {len(specs)}: {spec.title}"))
            except PruneError as error:
                failed += 1
                complain(f"{spec.title}: {error}")
                continue
            if not on_screen:
                others = [result for result in done if all(result.spec != mine.spec for mine in results)]  # never lost, whatever the grid
                write_json({"runs": [result.model_dump(mode="json") for result in [*results, *others]]}, json_file)
            if csv_file is not None:
                write_csv(results, csv_file)
    finally:
        if on_screen:
            write_json({"runs": [result.model_dump(mode="json") for result in results]}, json_file)
        elif results:
            Console().print(table(results))
    if failed:
        raise PruneError(f"{failed} of {len(specs)} runs failed, for the reasons above.")


@app.command()
@spec_flags(*(word for word in WORDS if word not in ("model", "revision", "evaluation", "evaluation_windows", "evaluation_length",
                                                     "device", "dtype")))
def evaluate(words: dict[str, str], json_file: JsonOption = None) -> None:
    """The perplexity of a model as it is."""
    from core.pipeline import evaluate as measure

    spec = spec_of(words)
    require_writable(json_file, "json")
    found = measure(spec)
    if str(json_file) != "-":
        Console().print(f"perplexity {found.perplexity:.2f}  ({found.protocol})", highlight=False)
    write_json(found.model_dump(mode="json"), json_file)


@app.command()
def methods() -> None:
    """The methods and their parameters."""
    listing = Table("method", "what it does", "parameters (default)", box=None)
    for name, method in METHODS.items():
        fields = [f"--{field.replace('_', '-')} ({'automatic' if about.default is None else about.default})"
                  for field, about in method.model_fields.items() if field != "name"]
        listing.add_row(name, (method.__doc__ or "").strip(), "\n".join(fields) or "none")
    Console().print(listing)


@app.command()
def models() -> None:
    """The models at hand: the demo, the folders below PRUNESCOPE_MODELS, the hub's cache on this machine."""
    from core.sources import list_models, unusable_models

    listing = Table("model", "family", "blocks", "parameters", "context", "revision", box=None)
    for model in list_models():
        listing.add_row(model.name, model.family, str(model.blocks), f"{model.parameters:,}", str(model.context), model.revision[:12])
    Console().print(listing)
    for model in unusable_models():
        Console().print(f"{model.name}: cannot be used. {model.reason}", markup=False)


def grid(words: dict[str, str], **lists: str) -> list[RunSpec]:
    """Every combination, methods outermost; a B for a method without blocks is left out, and no run is there twice.

    A combination that has no meaning is left out too, and said. Raises PruneError where a value is in none that has one.
    """
    lists = {name: lists[name] for name in ("methods", "patterns", "block_sizes", "alphas", "seeds")}
    values = [[part.strip() for part in text.split(",") if part.strip()] for text in lists.values()]
    for name, given in zip(lists, values, strict=True):
        if not given:
            raise BadInput(name, lists[name], "one value or several, with commas", "Leave it out for the usual one.")
    found, used, refused = list[RunSpec](), set[tuple[int, str]](), dict[tuple[str, ...], str]()
    for combination in itertools.product(*values):
        method, pattern, block, alpha, seed = combination
        parameters = METHODS[method].model_fields if method in METHODS else {}
        both = {**words, "method": method, "pattern": pattern, "alpha": alpha, "seed": seed}
        if block != "auto" and "block_size" in parameters:
            both["block_size"] = block
        both = {word: text for word, text in both.items() if word not in ("damping", "raise_damping", "granularity") or word in parameters}
        try:
            spec = spec_of(both)
        except PruneError as error:
            refused[combination] = str(error)
            continue
        used.update(enumerate(combination))
        if spec not in found:
            found.append(spec)
    useless = [reason for combination, reason in refused.items() if not used.issuperset(enumerate(combination))]
    if useless:
        raise PruneError("\n       ".join(dict.fromkeys(useless)))
    for reason in dict.fromkeys(refused.values()):
        notes.print(f"Left out: {reason}", markup=False, highlight=False, soft_wrap=True)
    return found


def same_dense(result: RunResult, spec: RunSpec, model: str, evaluation: str) -> bool:
    """Whether a result's dense perplexity is the one this spec would measure."""
    other = result.spec
    return ((other.evaluation, other.device, other.dtype) == (spec.evaluation, spec.device, spec.dtype)
            and (result.revisions.model, result.revisions.evaluation) == (model, evaluation))


if __name__ == "__main__":
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch: threads that spin on take each other's cores
    app(prog_name="python -m core")
