"""Perplexities from papers, beside one's own where model and protocol agree. Never computed with.

The numbers, their papers and protocols are data (published.json). A paper whose calibration is not known here is named where it
contradicts another, and its numbers are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol as Typed

from pydantic import Field, model_validator

from core.records import Evaluated
from core.spec import METHODS, OPTIONS, Calibration, Evaluation, RunSpec, parse_pattern
from core.spec.base import FrozenModel
from core.spec.patterns import Pattern, SemiStructured, Structured, Unstructured, outlier_count

FILE = Path(__file__).with_name("published.json")
_ROWS = 4096  # ⌈αc⌉/c of a layer of this many rows: α within 0.0002


class Protocol(FrozenModel):
    """Protocol of a paper's perplexities. `calibration` None: not known here."""

    evaluation: str
    length: int = Field(gt=0)
    calibration: str | None
    windows: int | None = Field(default=None, gt=0)
    calibration_length: int | None = Field(default=None, gt=0)

    @property
    def words(self) -> str:
        text = "WikiText-2 raw test" if self.evaluation == "hub:wikitext2" else self.evaluation
        calibrated = (f"calibrated on {self.windows} windows of {self.calibration_length} tokens of C4" if self.calibration == "hub:c4"
                      else "calibration not known here" if self.calibration is None else f"calibrated on {self.calibration}")
        return f"{text}, windows of {self.length} tokens, no overlap; {calibrated}"

    def agrees(self, spec: RunSpec, pruned: Evaluated) -> bool:
        """True for a run that read the whole text and was calibrated so, with nothing done beside its method."""
        whole = spec.evaluation.model_copy(update={"length": None}) == Evaluation(source=self.evaluation) and pruned.length == self.length
        return whole and self.calibrates(spec)

    def calibrates(self, spec: RunSpec) -> bool:
        """True for a run that was calibrated so, with nothing done beside its method."""
        if self.calibration is None or spec.calibration.length not in (None, self.calibration_length):
            return False
        asked = spec.calibration.model_copy(update={"length": None, "seed": 0})
        calibrated = asked == Calibration(source=self.calibration, windows=self.windows or asked.windows)
        return calibrated and spec == spec.model_copy(update=_PLAIN)


_PLAIN = {name: RunSpec.model_fields[name].default for name in OPTIONS if name != "no_optimum"}


class Paper(FrozenModel):
    """A paper, its protocol, and its dense perplexities by model."""

    source: str = Field(min_length=1)
    protocol: Protocol
    dense: dict[str, float]


class Published(FrozenModel):
    """A number from a paper. `doubt`: what the paper itself says against it."""

    paper: str
    model: str
    method: str
    pattern_text: str = Field(alias="pattern")
    perplexity: float = Field(gt=1)
    table: str = Field(min_length=1)
    alpha: float = Field(default=0.0, ge=0, lt=1)
    block_size: int | None = Field(default=None, gt=0)
    doubt: str = ""

    @cached_property
    def pattern(self) -> Pattern:
        return parse_pattern(self.pattern_text, alpha=self.alpha)

    @property
    def source(self) -> str:
        return read().papers[self.paper].source

    @property
    def sparsity(self) -> float:
        """The counted sparsity that the pattern means: α leaves rows dense, and whole columns make up for it."""
        kept = outlier_count(_ROWS, self.pattern.outlier_rows) / _ROWS
        if isinstance(self.pattern, Structured):
            return self.pattern.sparsity
        assert isinstance(self.pattern, Unstructured | SemiStructured), "published numbers are of zeros"
        share = self.pattern.sparsity if isinstance(self.pattern, Unstructured) else self.pattern.n / self.pattern.m
        return share * (1 - kept)

    @property
    def setting(self) -> tuple[object, ...]:
        """Everything but who printed it."""
        return self.model, self.method, self.pattern_text, self.alpha, self.block_size


class PublishedAccuracy(FrozenModel):
    """A mean zero-shot accuracy over the file's tasks, in percent. Papers do not say here whether it is acc or acc_norm."""

    paper: str
    model: str
    method: str
    pattern: str
    average: float = Field(gt=0, le=100)
    dense: float | None = Field(default=None, gt=0, le=100)


class PublishedFile(FrozenModel):
    """The file. Raises for a number without its paper or model, of an unknown method, or of a pattern that its method refuses."""

    about: str
    papers: Mapping[str, Paper]
    models: Mapping[str, tuple[str, ...]]
    numbers: tuple[Published, ...]
    tasks: tuple[str, ...]
    accuracies: tuple[PublishedAccuracy, ...]

    @model_validator(mode="after")
    def _check(self) -> PublishedFile:
        for number in (*self.numbers, *self.accuracies):
            if number.paper not in self.papers or number.model not in self.models or number.method not in METHODS:
                raise ValueError(f"unknown paper, model or method: {number.paper}, {number.model}, {number.method}")
            METHODS[number.method]().check(number.pattern if isinstance(number, Published) else parse_pattern(number.pattern))
        for paper in self.papers.values():
            if not self.models.keys() >= paper.dense.keys():
                raise ValueError(f"{paper.source}: a dense perplexity of an unknown model")
        return self


class Measured(Typed):
    """A run's request and its perplexity."""

    @property
    def spec(self) -> RunSpec: ...
    @property
    def pruned(self) -> Evaluated: ...


@lru_cache(maxsize=1)
def read() -> PublishedFile:
    """The published numbers, read once."""
    return PublishedFile.model_validate_json(FILE.read_bytes())


def published_for(runs: Iterable[Measured]) -> tuple[Published, ...]:
    """Published numbers for the model of these runs, of papers whose protocol is theirs."""
    file = read()
    found = {(key, name) for run in runs if (name := paper_name(run.spec.model)) for key, paper in file.papers.items()
             if paper.protocol.agrees(run.spec, run.pruned)}
    return tuple(number for number in file.numbers if (number.paper, number.model) in found)


def published_like(run: Measured) -> tuple[Published, ...]:
    """Published numbers for the method, pattern and α of this run, under its protocol; those of a block size only where it has it."""
    block = run.spec.method.own_block_size
    return tuple(number for number in published_for([run]) if number.method == run.spec.method.name
                 and number.pattern == run.spec.pattern and number.block_size in (None, block))


def paper_name(model: str) -> str | None:
    """The papers' name for a model on the hub."""
    return next((name for name, ids in read().models.items() if model in ids), None)
