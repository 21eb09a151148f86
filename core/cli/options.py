"""Options of the commands: one flag a word of a run, errors as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from core.cli.model_paths import word_of_path
from core.cli.screen import Screen
from core.spec import RunSpec
from core.spec.errors import PruneError
from core.spec.flags import EVALUATION_WORDS, check_words, describe_word, method_words, run_words
from core.spec.words import text

if TYPE_CHECKING:
    from core.models.placement import Streaming

notes = Screen(stderr=True)
_ALSO = {"evaluation": " May be given several times.", "model": " Or the path of a folder, such as ./llama."}
StreamOption = Annotated[bool | None, typer.Option("--stream/--no-stream", show_default=False, help="Read the model's blocks from their "
                         "files one at a time, or load it whole. By default what fits into memory decides; the numbers are the same.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the result as one JSON object to FILE; - is standard output.")]


def spec_flags(*without: str, usual: Mapping[str, str] | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag for each word of a run, gathered in its parameter `words`. `usual`: defaults of this command's own.

    Typer reads a command's signature (PEP 362); it has no public way to add an option that is known only when the methods are.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "words"]
        flags = [_flag(word, (usual or {}).get(word)) for word in run_words() if word not in without]

        def wrapper(**given: Any) -> None:
            words = {flag.name: given.pop(flag.name) for flag in flags}
            words |= _several_texts(words)
            texts = {word: text(value) for word, value in words.items() if value not in (None, False)}
            with complaining():
                command(words={**(usual or {}), **texts}, **given)

        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
        return wrapper

    return decorate


def not_evaluated() -> list[str]:
    """Words of a run that mean nothing for a model as it is."""
    own = ("model", "revision", *EVALUATION_WORDS, "further_evaluations", "device", "dtype")
    return [word for word in run_words() if word not in own]


def _several_texts(words: Mapping[str, Any]) -> dict[str, Any]:
    """`--evaluation` given several times: the first is the evaluation text, the others further ones."""
    texts: list[str] = words.get("evaluation") or []
    further: str | None = words.get("further_evaluations")
    return {"evaluation": texts[0] if texts else None,
            "further_evaluations": ",".join([*texts[1:], *([further] if further else [])]) or None}


def _flag(word: str, own: str | None) -> inspect.Parameter:
    about = describe_word(word)
    switch = about.kind == "switch"
    default = own or about.default
    usual = "" if default in (None, False, "", []) or word in method_words() else f" [default: {default}]"
    usual += _ALSO.get(word, "")
    option = typer.Option(f"--{word.replace('_', '-')}", help=f"{about.help}{usual}", metavar=None if switch else word.upper(),
                          show_default=False)
    kind = bool if switch else list[str] | None if word == "evaluation" else str | None
    return inspect.Parameter(word, inspect.Parameter.KEYWORD_ONLY, default=False if switch else None,
                             annotation=Annotated[kind, option])  # pyright: ignore[reportInvalidTypeForm]


@contextmanager
def complaining() -> Generator[None]:
    """End the command with exit status 2 and the text of an error that a person can act on."""
    try:
        yield
    except PruneError as error:
        complain(str(error))
        raise typer.Exit(2) from error


def streaming(stream: bool | None) -> Streaming | None:
    """The word for --stream, for --no-stream, or for neither."""
    return None if stream is None else "always" if stream else "never"


def progress_bar() -> Progress:
    """A bar on standard error, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    return Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal)


def complain(message: str) -> None:
    notes.print(f"Error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)


def spec_of(words: dict[str, str]) -> RunSpec:
    """The run that the words ask for; its model may be a path. Every word that cannot be used is said, then the command ends."""
    if model := words.get("model"):
        words = {**words, "model": word_of_path(model)}
    spec, refused = check_words(words)
    if spec is None:
        raise PruneError("\n       ".join(refused))
    return spec
