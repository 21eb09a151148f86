"""RunSpec <-> the flat words of a link or a command line: pure functions. No torch.

A word that equals its default is left out, so the default run has none. `read_words` returns the nearest run that can be made
and what it left out; `check_words` leaves nothing out. The words of a method's parameters are the names of its fields in
`core/spec/methods`: a new method needs no change here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from core.spec.base import FrozenModel
from core.spec.errors import BadInput, input_errors
from core.spec.methods import METHOD_LABELS, METHODS, Method, make_method
from core.spec.patterns import AlphaBudget, OutlierRows, Pattern, Structured, parse_pattern, pattern_word
from core.spec.run import RunSpec
from core.spec.texts import Calibration, Evaluation

N = TypeVar("N", bound=FrozenModel)
T = TypeVar("T")

PATTERN_WORDS = ("pattern", "alpha", "alpha_budget")
CALIBRATION_WORDS = {"calibration": "source", "windows": "windows", "length": "length", "seed": "seed"}
EVALUATION_WORDS = {"evaluation": "source", "evaluation_windows": "windows", "evaluation_length": "length"}
RUN_WORDS = ("model", "revision", "update", "refit", "true_sequential", "allocation", "propagation", "fisher", "device", "dtype")
METHOD_WORDS = tuple(dict.fromkeys(field for method in METHODS.values() for field in method.model_fields if field != "name"))
WORDS = ("model", "revision", "method", *PATTERN_WORDS, *METHOD_WORDS, "update", "refit", "true_sequential", "allocation", "propagation",
         "fisher", *CALIBRATION_WORDS, *EVALUATION_WORDS, "device", "dtype")
_USUAL = RunSpec()
_OUTLIER_ROWS, _ALPHA_BUDGET = TypeAdapter[float](OutlierRows), TypeAdapter[AlphaBudget](AlphaBudget)
_NO_METHODS_WORD = "Leave it out, or choose a method that has it."


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A word that was not taken over: why, and what stands in its place (None: nothing)."""

    word: str
    reason: BadInput
    used: str | None = None


def to_words(spec: RunSpec) -> dict[str, str]:
    """The words that differ from the defaults, in the order of the command line."""
    usual = RunSpec.model_validate({"method": make_method(spec.method.name), "pattern": spec.pattern})
    found: dict[str, object] = {word: _differs(spec, usual, word) for word in RUN_WORDS}
    found["method"] = spec.method.name if spec.method.name != _USUAL.method.name else None
    found["pattern"] = pattern_word(spec.pattern) if pattern_word(spec.pattern) != pattern_word(_USUAL.pattern) else None
    found["alpha"] = spec.pattern.outlier_rows or None
    budget = getattr(spec.pattern, "alpha_budget", "paper")
    found["alpha_budget"] = budget if budget != "paper" else None
    found |= {word: _differs(spec.method, usual.method, word) for word in METHOD_WORDS}
    found |= {word: _differs(spec.calibration, usual.calibration, field) for word, field in CALIBRATION_WORDS.items()}
    found |= {word: _differs(spec.evaluation, usual.evaluation, field) for word, field in EVALUATION_WORDS.items()}
    return {word: _text(found[word]) for word in WORDS if found[word] is not None}


def check_words(words: Mapping[str, str]) -> tuple[RunSpec | None, tuple[str, ...]]:
    """The run that a form asks for, or None and what must be changed. Nothing is replaced."""
    spec, refused = read_words(words)
    return (None if refused else spec), tuple(str(item.reason) for item in refused)


def command_line(spec: RunSpec) -> str:
    """The command that repeats the run. Model, method and pattern are always said."""
    words = {"model": spec.model, "method": spec.method.name, "pattern": pattern_word(spec.pattern)}
    words |= {word: text for word, text in to_words(spec).items() if word not in words}
    parts = ["python", "-m", "core", "prune"]
    for word in (word for word in WORDS if word in words):
        flag = "--" + word.replace("_", "-")
        parts += [flag] if words[word] == "true" else [flag, words[word]]
    return shlex.join(parts)


def read_words(words: Mapping[str, str]) -> tuple[RunSpec, tuple[Refused, ...]]:
    """The nearest run that can be made, and what of the words it leaves out."""
    method, refused = _read_method(words)
    pattern, more = _read_pattern(words)
    refused += more
    try:
        method.check(pattern)
    except BadInput as error:
        refused.append(Refused(word="pattern", reason=error, used=pattern_word(_USUAL.pattern)))
        pattern, more = _read_pattern({word: text for word, text in words.items() if word != "pattern"})
        refused += [item for item in more if item.word not in {earlier.word for earlier in refused}]
    calibration, more = _build(Calibration, words, CALIBRATION_WORDS)
    refused += more
    evaluation, more = _build(Evaluation, words, EVALUATION_WORDS)
    refused += more
    spec, more = _build(RunSpec, words, {word: word for word in RUN_WORDS},
                        method=method, pattern=pattern, calibration=calibration, evaluation=evaluation)
    refused += more
    refused += [Refused(word=word, reason=BadInput(word, words[word], f"the words of the command line, {_like(word)}", "Leave it out."))
                for word in words if word not in WORDS]
    return spec, tuple(refused)


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that is most like another; empty if none is."""
    return next(iter(get_close_matches(word, known, n=1)), "")


def _like(word: str) -> str:
    """Known words like this one, in brief."""
    near = nearest(word, WORDS)
    return f"perhaps {near}" if near else "such as model, method and pattern"


def _read_method(words: Mapping[str, str]) -> tuple[Method, list[Refused]]:
    refused: list[Refused] = []
    name = words.get("method", _USUAL.method.name)
    if name not in METHODS:
        reason = BadInput("method", name, ", ".join(METHODS), "Choose one of these.")
        name = _USUAL.method.name
        refused.append(Refused(word="method", reason=reason, used=name))
    fields = {field: field for field in METHODS[name].model_fields if field != "name"}
    for word in (word for word in METHOD_WORDS if word in words and word not in fields):
        allowed = f"for {METHOD_LABELS[name]} {', '.join(fields) or 'no parameter'}"
        refused.append(Refused(word=word, reason=BadInput(word, words[word], allowed, _NO_METHODS_WORD)))
    built, more = _build(METHODS[name], words, fields)
    return make_method(**built.model_dump()), refused + more


def _read_pattern(words: Mapping[str, str]) -> tuple[Pattern, list[Refused]]:
    usual = pattern_word(_USUAL.pattern)
    word = words.get("pattern", usual)
    pattern = _pattern(word, 0.0, "paper")
    refused: list[Refused] = []
    if isinstance(pattern, BadInput):
        refused.append(Refused(word="pattern", used=usual, reason=BadInput("pattern", word, pattern.allowed, pattern.remedy)))
        word, pattern = usual, _USUAL.pattern
    alpha, more = _alone(words, "alpha", _OUTLIER_ROWS, 0.0)
    refused += more
    budget, more = _alone(words, "alpha_budget", _ALPHA_BUDGET, "paper")
    refused += more
    if isinstance(pattern, Structured) and budget != "paper":
        reason = BadInput("alpha_budget", budget, "paper: whole columns always keep p", "Leave it out.")
        refused.append(Refused(word="alpha_budget", reason=reason))
        budget = "paper"
    for share, rule in ((alpha, budget), (alpha, "paper")):
        made = _pattern(word, share, rule)
        if not isinstance(made, BadInput):
            return made, refused
        if rule != "paper":
            reason = BadInput("alpha_budget", f"iso with α = {share:g}", made.allowed, made.remedy)
            refused.append(Refused(word="alpha_budget", used="paper", reason=reason))
    reason = _pattern(word, alpha, "paper")
    assert isinstance(reason, BadInput)
    refused.append(Refused(word="alpha", used="0", reason=BadInput("alpha", alpha, reason.allowed, reason.remedy)))
    return pattern, refused


def _pattern(word: str, alpha: float, budget: str) -> Pattern | BadInput:
    try:
        return parse_pattern(word, alpha=alpha, alpha_budget=budget)
    except BadInput as error:
        return error
    except ValidationError as error:
        return input_errors(error)[0]


def _alone(words: Mapping[str, str], word: str, kind: TypeAdapter[T], default: T) -> tuple[T, list[Refused]]:
    if word not in words:
        return default, []
    try:
        return kind.validate_python(words[word]), []
    except ValidationError as error:
        found = input_errors(error)[0]
        return default, [Refused(word=word, used=_text(default), reason=BadInput(word, words[word], found.allowed, found.remedy))]


def _build(kind: type[N], words: Mapping[str, str], fields: Mapping[str, str], **fixed: object) -> tuple[N, list[Refused]]:
    """A noun from the words of its fields; a field that is refused goes back to its default, until the rest can be made."""
    values: dict[str, object] = {field: words[word] for word, field in fields.items() if word in words}
    named = {field: word for word, field in fields.items()}
    refused: list[Refused] = []
    while True:
        try:
            return kind.model_validate({**values, **fixed}), refused
        except ValidationError as error:
            blamed = [(str(item["loc"][0]) if item["loc"] else reason.field, reason)  # fields that do not go together name one of them
                      for item, reason in zip(error.errors(), input_errors(error), strict=True)]
            found = {field: reason for field, reason in blamed if field in values}
            if not found:
                raise
            for field, reason in found.items():
                default = kind.model_fields[field].get_default(call_default_factory=True)
                refused.append(Refused(word=named[field], used=_text(default),
                                       reason=BadInput(named[field], values.pop(field), reason.allowed, reason.remedy)))


def _differs(noun: FrozenModel, usual: FrozenModel, field: str) -> object:
    value = getattr(noun, field, None)
    return None if value == getattr(usual, field, None) else value


def _text(value: object) -> str:
    if value is None:
        return "automatic"
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, kw_only=True)
class WordHelp:
    """Help text of a word for the command line; a `switch` takes no value."""

    text: str
    switch: bool


def describe_word(word: str) -> WordHelp:
    """From the fields of core/spec/: description, limits are said when they are broken, defaults of methods may differ."""
    if word in ("method", "pattern"):
        allowed = ", ".join(METHODS) if word == "method" else "0.5 or 50%, 2:4, columns:0.3"
        return WordHelp(text=f"{allowed} [default: {_USUAL.method.name if word == 'method' else pattern_word(_USUAL.pattern)}]",
                        switch=False)
    if word in ("alpha", "alpha_budget"):
        field = type(_USUAL.pattern).model_fields["outlier_rows" if word == "alpha" else word]
    elif word in METHOD_WORDS:
        owners = [name for name, method in METHODS.items() if word in method.model_fields]
        field = METHODS[owners[0]].model_fields[word]
        return WordHelp(text=f"{field.description} ({', '.join(owners)})", switch=field.annotation is bool)
    else:
        homes = {**{name: (RunSpec, name) for name in RUN_WORDS}, **{name: (Calibration, at) for name, at in CALIBRATION_WORDS.items()},
                 **{name: (Evaluation, at) for name, at in EVALUATION_WORDS.items()}}
        home, name = homes[word]
        field = home.model_fields[name]
    default = field.get_default()
    said = "" if default in (None, False) else f" [default: {default}]"
    return WordHelp(text=f"{field.description}{said}", switch=field.annotation is bool)
