"""Options of the commands: one flag a word of a run, errors as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from core.spec import RunSpec
from core.spec.errors import PruneError
from core.spec.flags import WORDS, check_words, describe_word

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
    """End the command with exit status 2 and the text of an error that a person can act on."""
    try:
        yield
    except PruneError as error:
        complain(str(error))
        raise typer.Exit(2) from error


def progress_bar() -> Progress:
    """A bar on standard error, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    return Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal)


def complain(text: str) -> None:
    notes.print(f"Error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def spec_of(words: dict[str, str]) -> RunSpec:
    """The run that the words ask for. Every word that cannot be used is said, then the command ends."""
    spec, refused = check_words(words)
    if spec is None:
        raise PruneError("\n       ".join(refused))
    return spec
