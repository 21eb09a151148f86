"""Findings about published numbers: those that papers print for a run, and where papers contradict each other."""

from __future__ import annotations

from collections.abc import Iterable

from app.shared.sweeps.published import Measured, Published, paper_name, published_like, read
from core.spec import METHODS, RunSpec, parse_pattern

_PRINTED = 0.005  # half of the last digit that papers print


def contradictions(numbers: Iterable[Published]) -> tuple[str, ...]:
    """Sentences about numbers that another paper, or another table of the same, prints differently for the same setting."""
    told: dict[str, None] = {}
    for number in numbers:
        others = [other for other in read().numbers if other.setting == number.setting and other.paper != number.paper
                  and abs(other.perplexity - number.perplexity) > _PRINTED]
        for other in others:
            calibrated = "" if read().papers[other.paper].protocol.calibration else ", whose calibration is not known here"
            told[f"{METHODS[number.method].label}, {number.pattern_text}, {number.model}: {number.perplexity:.2f} ({number.source}), but "
                 f"{other.perplexity:.2f} ({other.source}{calibrated})."] = None
    return tuple(told)


def published_sentence(run: Measured) -> str:
    """Published numbers for this very run, with what contradicts them; empty where no paper has one under its protocol."""
    found = published_like(run)
    if not found:
        return ""
    listed = "; ".join(f"{number.perplexity:.2f} ({number.source})" for number in found)
    doubts = [f"{number.doubt}." for number in found if number.doubt]
    return " ".join((f"Published under the same protocol: {listed}.", *dict.fromkeys(doubts), *contradictions(found)))


def accuracy_sentence(spec: RunSpec, tasks: Iterable[str]) -> str:
    """Mean accuracy that a paper prints for this run on exactly these tasks; empty where there is none."""
    file, name = read(), paper_name(spec.model)
    if set(tasks) != set(file.tasks):
        return ""
    told = [f"{number.average:.2f} % ({file.papers[number.paper].source}{f'; dense model {number.dense:.2f} %' if number.dense else ''})"
            for number in file.accuracies if number.model == name and number.method == spec.method.name
            and parse_pattern(number.pattern) == spec.pattern and file.papers[number.paper].protocol.calibrates(spec)]
    return f"Published mean of these tasks: {'; '.join(told)}. Whether of acc or acc_norm is not known here." if told else ""
