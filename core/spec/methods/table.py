"""Table of the methods, as docs/methods/README.md has it. No torch."""

from __future__ import annotations

from core.spec.methods.registry import EVERY_METHOD


def methods_table() -> str:
    """The rows of all registered methods in Markdown, in the order of lists and legends."""
    lines = ["| | mask | kept weights | products of c×b×b |", "|---|---|---|---|"]
    for method in EVERY_METHOD.values():
        name = f"[{method.label}]({method.summary.page})" if method.summary.page else method.label
        lines.append(f"| {name} | {method.summary.mask} | {method.summary.weights} | {method.summary.products} |")
    return "\n".join(lines)
