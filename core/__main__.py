"""The command line: `python -m core prune | sweep | evaluate | methods | models`. The flags are the words of core/words.py."""

from __future__ import annotations

import csv
import inspect
import itertools
import json
import os
import sys
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
from core.spec import METHOD_LABELS, METHODS, RunSpec
from core.words import WORDS, check_words, describe_word

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
        notes.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error


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
    if save is not None:
        from core.export import MemoryJournal, require_empty, save_checkpoint

        require_empty(save)
        journal = MemoryJournal()
        result = run(spec, journal=journal)
        save_checkpoint(result, journal.weights, save)
    else:
        result = run(spec)
    write_json(result.model_dump(mode="json"), json_file)
    if json_file is None or str(json_file) != "-":
        show(result)


@app.command()
@spec_flags("method", "pattern", "block_size", "alpha", "seed")
def sweep(words: dict[str, str], json_file: JsonOption = None,
          csv_file: Annotated[Path | None, typer.Option("--csv", help="Write one line a run to FILE.")] = None,
          methods: Annotated[str, typer.Option(help="Methods, with commas.")] = "magnitude,wanda,sparsegpt,thanos",
          patterns: Annotated[str, typer.Option(help="Pattern words, with commas.")] = "0.5",
          block_sizes: Annotated[str, typer.Option(help="Values of B, with commas; 'auto' is the method's own.")] = "auto",
          alphas: Annotated[str, typer.Option(help="Values of α, with commas.")] = "0",
          seeds: Annotated[str, typer.Option(help="Seeds of the calibration windows, with commas.")] = "0") -> None:
    """A grid of runs: methods × patterns × B × α × seeds. With --json FILE an interrupted sweep continues where it stopped."""
    specs = grid(words, methods=methods, patterns=patterns, block_sizes=block_sizes, alphas=alphas, seeds=seeds)
    done = stored_runs(json_file)
    results: list[RunResult] = []
    from core.revisions import revisions

    for index, spec in enumerate(specs):
        now = revisions(spec)
        found = next((result for result in done if result.spec == spec and result.revisions == now), None)
        dense = next((result.dense for result in results if same_dense(result, spec, now.model, now.evaluation)), None)
        results.append(found or run(spec, dense=dense, title=f"{index + 1} of {len(specs)}: {spec.title}"))
        write_json({"runs": [result.model_dump(mode="json") for result in results]}, json_file)
        if csv_file is not None:
            write_csv(results, csv_file)
    if json_file is None or str(json_file) != "-":
        Console().print(table(results))


@app.command()
@spec_flags(*(word for word in WORDS if word not in ("model", "revision", "evaluation", "evaluation_windows", "evaluation_length",
                                                     "device", "dtype")))
def evaluate(words: dict[str, str], json_file: JsonOption = None) -> None:
    """The perplexity of a model as it is."""
    from core.pipeline import evaluate as measure

    found = measure(spec_of(words))
    write_json(found.model_dump(mode="json"), json_file)
    if json_file is None or str(json_file) != "-":
        Console().print(f"perplexity {found.perplexity:.2f}  ({found.protocol})", highlight=False)


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
    """Every combination, methods outermost; a B for a method without blocks is left out, and no run is there twice."""
    named = [lists["methods"], lists["patterns"], lists["block_sizes"], lists["alphas"], lists["seeds"]]
    values = [[part.strip() for part in text.split(",") if part.strip()] for text in named]
    found: list[RunSpec] = []
    for method, pattern, block, alpha, seed in itertools.product(*values):
        parameters = METHODS[method].model_fields if method in METHODS else {}
        both = {**words, "method": method, "pattern": pattern, "alpha": alpha, "seed": seed}
        if block != "auto" and "block_size" in parameters:
            both["block_size"] = block
        both = {word: text for word, text in both.items() if word not in ("damping", "raise_damping", "granularity") or word in parameters}
        spec = spec_of(both)
        if spec not in found:
            found.append(spec)
    return found


def same_dense(result: RunResult, spec: RunSpec, model: str, evaluation: str) -> bool:
    """Whether a result's dense perplexity is the one this spec would measure."""
    other = result.spec
    return ((other.evaluation, other.device, other.dtype) == (spec.evaluation, spec.device, spec.dtype)
            and (result.revisions.model, result.revisions.evaluation) == (model, evaluation))


def stored_runs(file: Path | None) -> list[RunResult]:
    """The runs of an earlier sweep. Raises BadInput for a file that is something else, so that it is not overwritten."""
    if file is None or str(file) == "-" or not file.exists():
        return []
    try:
        return [RunResult.model_validate(entry) for entry in json.loads(file.read_text())["runs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("json", str(file), "a new file, or one that a sweep of this version wrote", "Choose another file.") from error


def write_json(content: dict[str, Any], file: Path | None) -> None:
    """One JSON object; a file appears whole or not at all."""
    if file is None:
        return
    text = json.dumps(content, indent=1, ensure_ascii=False)
    if str(file) == "-":
        sys.stdout.write(text + "\n")
        return
    part = file.with_name(file.name + ".part")
    try:
        part.write_text(text)
        part.replace(file)
    except OSError as error:
        raise BadInput("json", str(file), "a file that can be written", f"{error.strerror}.") from error


def write_csv(results: list[RunResult], file: Path) -> None:
    """One line a run."""
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["model", "method", "pattern", "block_size", "alpha", "counted_sparsity", "dense_perplexity",
                       "pruned_perplexity", "median_gap", "seconds", "peak_memory_bytes"])
        rows.writerows(_row(result) for result in results)


def _row(result: RunResult) -> list[object]:
    from core.patterns import pattern_word

    spec = result.spec
    return [spec.model, spec.method.name, pattern_word(spec.pattern), getattr(spec.method, "block_size", ""), spec.pattern.outlier_rows,
            result.counted_sparsity, result.dense.perplexity, result.pruned.perplexity, result.median_gap, result.seconds,
            result.peak_memory_bytes]


def table(results: list[RunResult]) -> Table:
    """The runs of a sweep, side by side."""
    listing = Table("method", "pattern", "B", "α", "counted", "dense", "pruned", "gap", "seconds", box=None)
    for result in results:
        _, method, pattern, block, alpha, counted, dense, pruned, gap, seconds, _ = _row(result)
        listing.add_row(METHOD_LABELS[str(method)], str(pattern), str(block), f"{alpha:g}", f"{100 * float(str(counted)):.1f} %",
                        f"{dense:.2f}", f"{pruned:.2f}", f"{1 + float(str(gap)):.2f}×", f"{seconds:.1f}")
    return listing


def show(result: RunResult) -> None:
    """A finished run in five lines."""
    out = Console(highlight=False)
    out.print(f"perplexity        {result.dense.perplexity:.2f} → {result.pruned.perplexity:.2f}   ({result.pruned.protocol})",
              soft_wrap=True)
    out.print(f"counted sparsity  {100 * result.counted_sparsity:.1f} % of {sum(layer.parameters for layer in result.layers):,} weights "
              f"in {len(result.layers)} layers")
    out.print(f"error             median {1 + result.median_gap:.2f}× the least possible for the mask; worst layer {result.worst.name} "
              f"({result.worst.relative_error:.3g})", soft_wrap=True)
    out.print(f"calibration       {result.calibration}", soft_wrap=True)
    out.print(f"time, memory      {result.seconds:.1f} s, {result.peak_memory_bytes / 1e9:.2f} GB, {result.environment.device}")


if __name__ == "__main__":
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch: threads that spin on take each other's cores
    app(prog_name="python -m core")
