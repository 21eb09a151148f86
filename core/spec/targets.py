"""Targets: what exactly a pattern takes from one layer. Integers only; no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Remove exactly `count` entries of the rows that are not kept dense."""

    count: int


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Remove n of every m consecutive inputs of each row; a last group of fewer than m inputs stays dense."""

    n: int
    m: int


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Remove exactly `count` whole input columns (from the rows that are not kept dense), `span` consecutive ones together: those of a
    head. `count` and the number of columns are multiples of it. `chosen`: the columns themselves, where scores of a layer do not decide."""

    count: int
    span: int = 1
    chosen: tuple[int, ...] | None = None


Target = Entries | Groups | Columns


def whole_groups(block_size: int, target: Target) -> int:
    """B columns, lowered to a multiple of m where groups of m go (at least m): no block cuts a group."""
    return max(target.m, block_size - block_size % target.m) if isinstance(target, Groups) else block_size
