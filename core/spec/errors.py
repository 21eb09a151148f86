"""Errors whose text says what to do. No torch.

Every error that a person can cause is a `PruneError`: the browser and the command line show its text unchanged.
`BadInput` names the field, the value given, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError


class PruneError(Exception):
    """An error whose text is meant for the person who asked."""


class BadInput(PruneError, ValueError):
    """A value that cannot be used. A ValueError too, so that pydantic validators may raise it."""

    def __init__(self, field: str, value: object, allowed: str, remedy: str) -> None:
        super().__init__(f"{short_name(field)}: {_short(value)} cannot be used. Allowed: {allowed}. {remedy}")
        self.field, self.value, self.allowed, self.remedy = field, value, allowed, remedy

    def __reduce__(self) -> tuple[type[BadInput], tuple[str, object, str, str]]:
        return BadInput, (self.field, self.value, self.allowed, self.remedy)


class IllConditioned(PruneError):
    """The damped Gram matrix of a layer has no Cholesky factor in the arithmetic used."""

    def __init__(self, layer: str, pivot: float, damping: float) -> None:
        super().__init__(
            f"{layer}: the Hessian is numerically not positive definite (smallest pivot {pivot:.3g} at damping λ = {damping:g}). "
            f"Raise the damping (try {max(10 * damping, 0.01):g}), allow it to be raised (May raise damping), "
            "or use more calibration tokens than the layer has inputs."
        )
        self.layer, self.pivot, self.damping = layer, pivot, damping

    def __reduce__(self) -> tuple[type[IllConditioned], tuple[str, float, float]]:
        return IllConditioned, (self.layer, self.pivot, self.damping)


class Diverged(PruneError):
    """A layer's new weights are worse than none, and the exact refit did not help: they are not returned."""

    def __init__(self, layer: str, method: str, error: float, remedy: str) -> None:
        super().__init__(f"{layer}: {method} diverged (relative error {error:.3g}, more than without any update), and the exact refit of "
                         f"its mask did not help. {remedy}")
        self.layer, self.method, self.error, self.remedy = layer, method, error, remedy

    def __reduce__(self) -> tuple[type[Diverged], tuple[str, str, float, str]]:
        return Diverged, (self.layer, self.method, self.error, self.remedy)


class InputChanged(PruneError):
    """A model or a text that was written while a run read it. `field`: model, calibration or evaluation; `name`: what was asked for."""

    def __init__(self, field: str, name: str) -> None:
        super().__init__(
            f"{field}: {_short(name)} has changed since it was first read. Numbers from both contents would describe neither, so none are "
            "kept; blocks finished before the change are. Leave its files as they are until the end, and ask again.")
        self.field, self.name = field, name

    def __reduce__(self) -> tuple[type[InputChanged], tuple[str, str]]:
        return InputChanged, (self.field, self.name)


class NotFinite(PruneError):
    """A NaN or an infinity where a number was computed: `place` is the stage and what it worked on."""

    def __init__(self, place: str, what: str, remedy: str) -> None:
        super().__init__(f"{place}: {what}. {remedy}")
        self.place, self.what, self.remedy = place, what, remedy

    def __reduce__(self) -> tuple[type[NotFinite], tuple[str, str, str]]:
        return NotFinite, (self.place, self.what, self.remedy)


class ExportDiffers(PruneError):
    """An exported model that is not the one that was measured; it is not left behind."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: the exported model was opened again and is not the one that was measured. {what}. The export was "
                         "removed. Save the dense model again with transformers' save_pretrained, and prune that.")
        self.place, self.what = place, what

    def __reduce__(self) -> tuple[type[ExportDiffers], tuple[str, str]]:
        return ExportDiffers, (self.place, self.what)


class OutOfMemory(PruneError):
    """Memory ran out: `stage` says at what, `remedy` what takes less."""

    def __init__(self, stage: str, remedy: str) -> None:
        super().__init__(f"Memory ran out while {stage}. {remedy}")
        self.stage, self.remedy = stage, remedy

    def __reduce__(self) -> tuple[type[OutOfMemory], tuple[str, str]]:
        return OutOfMemory, (self.stage, self.remedy)


def is_out_of_memory(error: BaseException | None) -> bool:
    """True for Python's, torch's, a GPU's or the system's word for want of memory, also as the cause of another error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = str(error).lower()
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or any(sign in text for sign in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def memory_told(stage: str, remedy: str) -> Generator[None]:
    """Want of memory inside is raised as OutOfMemory."""
    try:
        yield
    except PruneError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(stage, remedy) from error
        raise


LESS_MEMORY = ("Lower the calibration windows or their length, choose a smaller model, or a device with more memory. Finished blocks "
               "that are kept stay, and the same run asked for again continues after them.")
_NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "unable to allocate", "cuda out of memory")


class Cancelled(Exception):
    """Nobody waits for the answer any more: what was being computed has ended early."""


def input_errors(error: ValidationError) -> tuple[BadInput, ...]:
    """A pydantic error as our own, one for each field, in the order of the fields."""
    found: list[BadInput] = []
    for item in error.errors():
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, BadInput):
            found.append(cause)
            continue
        field = next((str(part) for part in reversed(item["loc"]) if isinstance(part, str)), "input")
        allowed = _WRITTEN.get(item["type"]) or _allowed(item.get("ctx", {}), item["msg"])
        found.append(BadInput(field, item["input"], allowed, "Change it and try again."))
    return tuple(found)


_WRITTEN = {"float_parsing": "a number", "int_parsing": "a whole number", "int_from_float": "a whole number",
            "bool_parsing": "true or false", "finite_number": "a finite number"}
_COMPARISONS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def _allowed(context: dict[str, Any], message: str) -> str:
    limits = [f"{word} {_plain(context[name])}" for name, word in _COMPARISONS.items() if name in context]
    if limits:
        return " and ".join(limits)
    expected = context.get("expected") or context.get("expected_tags")
    return str(expected) if expected else message.lower()


def _plain(limit: object) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def short_name(field: str) -> str:
    """A field's name, cut where somebody made up a long one."""
    return field if len(field) <= 60 else f"{field[:57]}..."


def _short(value: object) -> str:
    text = repr(value[:100] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
