"""Accuracy over sparsity in a sentence, computed from scored runs. Losses within two paired standard errors are ties."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared import numbers
from app.shared.charts.accuracy import ScoredPoint
from app.shared.findings.wording import listed
from core.spec import METHOD_LABELS
from core.spec.patterns import Pattern

_TIE = 2.0  # standard errors within which a difference is none


def accuracy_finding(points: Sequence[ScoredPoint], metric: str) -> str:
    """Accuracy that each method costs at the sparsity that most methods have, the highest of these; empty without dense scores."""
    known = [point for point in points if point.scores.difference(metric) is not None]
    if not known:
        return ""
    by_pattern: dict[Pattern, dict[str, ScoredPoint]] = {}
    for point in known:
        by_pattern.setdefault(point.spec.pattern, {}).setdefault(point.spec.method.name, point)
    shown = max(by_pattern.values(), key=lambda methods: (len(methods), max(point.counted_sparsity for point in methods.values())))
    ranked = sorted(shown.values(), key=lambda point: -point.scores.scores[metric].value)
    ties = [_named(point, metric) for point in ranked if not _loss(point, metric)]
    losses = [f"{METHOD_LABELS[point.spec.method.name]} {loss}" for point in ranked if (loss := _loss(point, metric))]
    dense = ranked[0].scores.dense
    assert dense is not None
    tied = f"{listed(ties)} cannot be told from it" if ties else ""
    lost = f"{listed(losses)} (one standard error, on the same examples)" if losses else ""
    right = numbers.percent(dense.scores[metric].value)
    return (f"At {numbers.percent(ranked[0].counted_sparsity)} counted sparsity, with {metric} {right} of the dense model: "
            f"{'; '.join(filter(None, (tied, lost)))}.")


def _named(point: ScoredPoint, metric: str) -> str:
    return f"{METHOD_LABELS[point.spec.method.name]} ({numbers.percent(point.scores.scores[metric].value)})"


def _loss(point: ScoredPoint, metric: str) -> str:
    """`loses 9.7 points ± 1.9`, or nothing for a tie."""
    change = point.scores.difference(metric)
    assert change is not None
    if change.stderr is None or abs(change.value) <= _TIE * change.stderr:
        return ""
    return f"{'loses' if change.value > 0 else 'gains'} {numbers.points(abs(change.value))} ± {100 * change.stderr:.1f}"
