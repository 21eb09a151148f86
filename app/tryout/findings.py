"""Zero-shot scores in sentences. Pure functions of records."""

from __future__ import annotations

from collections.abc import Mapping

from app.shared import numbers
from core.records.tasks import Score, TaskScores, average, average_difference

TIE = 2.0  # standard errors within which a difference is none
BADGE = "not comparable"


def finding(tasks: Mapping[str, TaskScores], metric: str) -> str:
    """The answer of the page: how much accuracy pruning costs, and whether that can be told from none."""
    shown = {name: scores for name, scores in tasks.items() if metric in scores.scores}
    mean, change = average(shown, metric), average_difference(shown, metric)
    dense = average({name: scores.dense for name, scores in shown.items() if scores.dense}, metric)
    if mean is None or change is None or dense is None:
        return ""
    where = (f"On {next(iter(shown))}" if len(shown) == 1 else f"On average over {len(shown)} tasks")
    start = f"{where} the pruned model is right in {numbers.percent(mean.value)}, the dense one in {numbers.percent(dense.value)}"
    return f"{start}: {verdict(change)}{_chance(shown)}"


def verdict(change: Score) -> str:
    """A difference dense − pruned, in points, with its standard error; a tie within two of them."""
    told = numbers.points(abs(change.value))
    if change.stderr is None:
        return f"a difference of {told}."
    error = f"± {100 * change.stderr:.1f}"
    if abs(change.value) <= TIE * change.stderr:
        return f"a difference of {told} {error} (one standard error), which these examples cannot tell from none."
    return f"it {'loses' if change.value > 0 else 'gains'} {told} {error} (one standard error)."


def badge(scores: TaskScores) -> str:
    """Caution for a number that cannot be compared with others; empty for one that can."""
    return f"{BADGE}: {numbers.count(scores.examples)} of {numbers.count(scores.available)} examples" if scores.limited else ""


def points(score: Score | None, *, signed: bool = False) -> str:
    """A share in percent with its standard error; a difference in points."""
    if score is None:
        return "–"
    value = f"{'−' if score.value < 0 else '+' if signed and score.value > 0 else ''}{abs(100 * score.value):.1f}"
    return f"{value}{'' if signed else ' %'}" + (f" ± {100 * score.stderr:.1f}" if score.stderr is not None else "")


def protocol(tasks: Mapping[str, TaskScores]) -> tuple[tuple[str, str], ...]:
    """Protocol of the scores, as terms and texts."""
    told = [("Tasks", "; ".join(f"{name}: {_task(scores)}" for name, scores in tasks.items()) or "none yet"),
            ("acc", "share of examples whose right answer has the highest log-likelihood of all answers"),
            ("acc_norm", "the same with each log-likelihood divided by the answer's length in characters; papers print one or the other"),
            ("±", "one standard error over the examples; of dense − pruned over the differences on the same examples, which is smaller "
             "than that of two separate samples"),
            ("Computed by", "lm-eval's simple_evaluate over the models in memory; its prompts, splits and metrics")]
    return tuple(told)


def score_rows(tasks: Mapping[str, TaskScores]) -> list[dict[str, object]]:
    """One row for each metric of each task, for a file to take away."""
    rows: list[dict[str, object]] = []
    for name, scores in tasks.items():
        for metric, found in scores.scores.items():
            dense = scores.dense.scores.get(metric) if scores.dense else None
            change = scores.difference(metric) if dense else None
            rows.append({"task": name, "metric": metric, "examples": scores.examples, "available": scores.available,
                         "dense": dense and dense.value, "dense_stderr": dense and dense.stderr, "pruned": found.value,
                         "pruned_stderr": found.stderr, "dense_minus_pruned": change and change.value,
                         "paired_stderr": change and change.stderr, "chance": scores.chance, "shots": scores.shots,
                         "task_version": scores.version, "content": scores.content})
    return rows


def _chance(tasks: Mapping[str, TaskScores]) -> str:
    known = [scores.chance for scores in tasks.values() if scores.chance is not None]
    if len(known) < len(tasks):
        return ""
    guessed = sum(known) / len(known)
    dense = average({name: scores.dense for name, scores in tasks.items() if scores.dense})
    near = dense is not None and dense.stderr is not None and dense.value < guessed + TIE * dense.stderr
    return f" Guessing is right in {numbers.percent(guessed)}" + (
        ": the dense model does no better, so these tasks say nothing about pruning it." if near else ".")


def _task(scores: TaskScores) -> str:
    shots = "zero-shot" if not scores.shots else numbers.plural(scores.shots, "example") + " shown"
    cut = f", {numbers.plural(scores.truncated, 'prompt')} cut to the context" if scores.truncated else ""
    return f"{numbers.plural(scores.examples, 'example')}{f' of {scores.available}' if scores.limited else ''}, {shots}{cut}"
