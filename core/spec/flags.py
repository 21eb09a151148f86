"""RunSpec <-> the flat words of a link or a command line. No torch.

The words of a method's parameters are the names of its fields: a new method, registered or built in, needs no change here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from core.spec.codec import ChoiceCodec, ModelCodec
from core.spec.fields import Field
from core.spec.methods import EVERY_METHOD, METHOD_LABELS, MethodParameters, make_method
from core.spec.pattern_codec import PATTERN_WORDS, PatternCodec
from core.spec.run import OPTIONS, RunSpec
from core.spec.texts import Calibration, Evaluation
from core.spec.words import Refused, Words

CALIBRATION_WORDS = {"calibration": "source", "windows": "windows", "length": "length", "seed": "seed", "bos": "bos"}
EVALUATION_WORDS = {"evaluation": "source", "evaluation_windows": "windows", "evaluation_length": "length",
                    "evaluation_bos": "bos"}
RUN_WORDS = ("model", "revision", *OPTIONS, "further_evaluations", "device", "dtype")
_FIRST, _LAST = ("model", "revision"), ("device", "dtype")

CALIBRATIONS = ModelCodec(model=Calibration, fields=CALIBRATION_WORDS)
EVALUATIONS = ModelCodec(model=Evaluation, fields=EVALUATION_WORDS)
METHOD_CHOICE: ChoiceCodec[MethodParameters] = ChoiceCodec(
    word="method", kinds=EVERY_METHOD, default=RunSpec().method.name, title=METHOD_LABELS.__getitem__,
    remedy="Leave it out, or choose a method that has it.")


@dataclass(frozen=True, kw_only=True)
class RunCodec(ModelCodec[RunSpec]):
    """The words of a run, in the order of the command line."""

    @property
    def words(self) -> tuple[str, ...]:
        """Model, method, pattern, the methods' parameters, the run's own, texts, device."""
        own = [word for word in self.fields if word not in (*_FIRST, *_LAST)]
        return (*_FIRST, "method", *PATTERN_WORDS, *method_words(), *own, *CALIBRATION_WORDS, *EVALUATION_WORDS, *_LAST)

    def usual(self, value: RunSpec) -> RunSpec:
        """The same method with its defaults, as they are for the same pattern."""
        return RunSpec.model_validate({"method": make_method(value.method.name), "pattern": value.pattern})


RUNS = RunCodec(model=RunSpec, fields={word: word for word in RUN_WORDS}, parts={
    "method": METHOD_CHOICE, "pattern": PatternCodec(), "calibration": CALIBRATIONS, "evaluation": EVALUATIONS})


def method_words() -> tuple[str, ...]:
    """The parameters of all methods that are registered now."""
    return METHOD_CHOICE.words[1:]


def run_words() -> tuple[str, ...]:
    """All words of a run, in the order of the command line."""
    return RUNS.words


def to_words(spec: RunSpec) -> dict[str, str]:
    """The words that differ from the defaults, in the order of the command line."""
    return RUNS.write(spec)


def read_words(words: Words) -> tuple[RunSpec, tuple[Refused, ...]]:
    """The nearest run that can be made, and what of the words it leaves out."""
    spec, refused = RUNS.read(words)
    return spec, tuple(refused)


def check_words(words: Words) -> tuple[RunSpec | None, tuple[str, ...]]:
    """The run that a form asks for, or None and what must be changed. Nothing is replaced."""
    spec, refused = RUNS.check(words)
    return spec, tuple(str(item.reason) for item in refused)


def describe_word(word: str) -> Field:
    """The field behind a word: limits are said when they are broken, defaults of methods may differ."""
    return RUNS.describe(word)


def command_line(spec: RunSpec) -> str:
    """The command that repeats the run. Model, method and pattern are always said."""
    words = {"model": spec.model, "method": spec.method.name, "pattern": spec.pattern.word} | to_words(spec)
    return shlex.join(["python", "-m", "core", "prune", *flags(words)])


def flags(words: Mapping[str, str]) -> list[str]:
    """Words of a run as arguments of a command; others follow in their order."""
    known = run_words()
    parts: list[str] = []
    for word in sorted(words, key=lambda word: known.index(word) if word in known else len(known)):
        flag = f"--{word.replace('_', '-')}"
        parts += [flag] if words[word] == "true" else [flag, words[word]]
    return parts
