"""Tables of a report: every cell carries its exact value, by which a click on the head sorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from app.shared import numbers

_SHARES = ("sparsity", "removed by both", "kept by both")


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Every row. Nothing that a run says can become markup."""
    if not rows:
        return "<p class='quiet'>None.</p>"
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(_cell(name, value) for name, value in row.items()) + "</tr>" for row in rows)
    return f"<div class='wide'><table class='layers'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(name: str, value: object) -> str:
    if value is None:
        return "<td data-value=''></td>"
    if not isinstance(value, float):
        return f"<td{' class=number' if isinstance(value, int) else ''} data-value='{escape(str(value))}'>{escape(str(value))}</td>"
    return f"<td class='number' title='{value!r}' data-value='{value!r}'>{escape(_shown(name, value))}</td>"


def _shown(name: str, value: float) -> str:
    if name.endswith(_SHARES) or name.startswith("only by "):
        return numbers.percent(value)
    if name.endswith("÷ best"):
        return numbers.times(value)
    if name.startswith("time"):
        return f"{value:.2f}"
    return f"{value:g}" if name.startswith("λ") else numbers.error(value)
