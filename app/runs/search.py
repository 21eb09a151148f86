"""Search and order of the list of runs. Pure functions of records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from app.shared import numbers
from app.shared.findings import wording
from cache.records import RunRecord

_NEWEST = "Newest first"
QUEUE_ORDER = "As the queue takes them up"


def _perplexity(record: RunRecord) -> float:
    return math.inf if record.pruned_perplexity is None else record.pruned_perplexity


def _rise(record: RunRecord) -> float:
    return _perplexity(record) / record.dense_perplexity if record.dense_perplexity else math.inf


ORDERS: dict[str, Callable[[RunRecord], float]] = {
    _NEWEST: lambda record: -record.submitted,
    "Oldest first": lambda record: record.submitted,
    "Lowest perplexity first": _perplexity,
    "Least rise of perplexity first": _rise,
    "Highest sparsity first": lambda record: -(record.counted_sparsity or 0.0),
    "Longest first": lambda record: -(record.seconds or 0.0),
}


def select(records: Iterable[RunRecord], text: str, order: str) -> tuple[RunRecord, ...]:
    """The runs in which every word of the text occurs, in this order. Pinned runs come first where the newest do; runs without the
    number that is asked for come last."""
    found = containing(records, text)
    by = ORDERS.get(order, ORDERS[_NEWEST])
    pinned_first = by is ORDERS[_NEWEST]
    return tuple(sorted(found, key=lambda record: (pinned_first and not record.pinned, by(record), -record.submitted, record.key)))


def containing(records: Iterable[RunRecord], text: str) -> tuple[RunRecord, ...]:
    """The runs in which every word of the text occurs, in the order they have."""
    words = text.lower().split()
    return tuple(record for record in records if all(word in _text(record) for word in words))


def is_plain(text: str, order: str) -> bool:
    """True where nothing is sought and the order is that of the store."""
    return not text.split() and order == _NEWEST


def _text(record: RunRecord) -> str:
    """Everything that the list says of a run, and its key. No time of the day: 22:47 is no pattern 2:4."""
    which, rest = wording.both(record.spec)  # pyright: ignore[reportArgumentType]  (a frozen noun has a hash)
    date = numbers.day(record.ended or record.started or record.submitted)
    return " ".join((record.name, record.note, which, rest, record.state, wording.state(record.state), record.error or "", date,
                     record.key)).lower()


def rows(records: Sequence[RunRecord]) -> list[dict[str, object]]:
    """The list as a table to take away, one row a run."""
    return [{
        "key": record.key, "name": record.name, "note": record.note, "run": wording.describe(record.spec),
        "else": wording.describe_rest(record.spec), "state": record.state, "dense_perplexity": record.dense_perplexity,
        "pruned_perplexity": record.pruned_perplexity, "counted_sparsity": record.counted_sparsity, "seconds": record.seconds,
        "submitted": numbers.moment(record.submitted), "pinned": record.pinned, "error": record.error or "",
    } for record in records]
