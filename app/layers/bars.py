"""Bars of a layer, one a method, from what is known so far."""

from __future__ import annotations

from collections.abc import Sequence

from app.layers.charts.method_bars import Bar
from app.layers.questions import Methods
from app.shared import answers, tables
from core.records import LayerRecord
from core.spec import METHOD_LABELS, METHODS, RunSpec, Unstructured

_WIDE = 1 << 14  # inputs of a layer


def bars_of(spec: RunSpec, layer: str, record: LayerRecord | None, mine: answers.Shown, shown: Sequence[answers.Shown]) -> list[Bar]:
    """One bar a method: the present one as the controls ask, the others with their defaults; what is not known yet keeps its place."""
    to_come = any(item.waiting for item in shown)
    found: dict[str, tuple[LayerRecord, bool]] = {}
    left_out: set[str] = set()
    for item in shown:
        answer: Methods | None = item.answer
        if answer is not None:
            found |= {name: (known, not item.fits) for name, known in answer.records.items() if known.name == layer}
            left_out |= set(answer.failed) | set(answer.slow)
    found.pop(spec.method.name, None)  # with its defaults
    if record is not None:
        found[spec.method.name] = (record, not mine.fits)
    bars: list[Bar] = []
    for name in _in_order():
        present = name == spec.method.name
        label = _label(spec) if present else METHOD_LABELS[name]
        if name in found or present or name not in left_out:
            known, stale = found.get(name, (None, False))
            missing = (known is None or stale) and not (mine.waiting if present else to_come)
            bars.append(Bar(method=name, label=label, record=known, present=present, stale=stale, missing=missing))
    return bars


def _in_order() -> list[str]:
    """All methods, the one with the most work on a wide layer last."""
    most = max(METHODS, key=lambda name: METHODS[name]().layer_work(1, _WIDE, Unstructured()))
    return sorted(METHODS, key=lambda name: name == most)


def _label(spec: RunSpec) -> str:
    return METHOD_LABELS[spec.method.name] + (" with refit" if spec.refit else "")


def bar_rows(bars: Sequence[Bar]) -> list[dict[str, object]]:
    return [{"method": bar.method, **row} for bar in bars if bar.record is not None and not bar.stale
            for row in tables.layer_rows([bar.record])]
