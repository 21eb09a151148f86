"""Words of pages that solve one layer at a time, about patterns whose structures go together."""

from __future__ import annotations

from app.shared import layout
from app.shared.findings import wording
from core.spec import RunSpec


def alone_words(spec: RunSpec) -> str:
    """Reason why a layer alone cannot be asked about; empty where it can."""
    if not spec.pattern.shrinks:
        return ""
    return (f"This page solves one layer at a time, and {spec.pattern.unit} go from several layers together: what went and what it "
            "costs is measured by a run, on Explore. Choose any weights, n:m or columns to look into a layer.")


def draw_alone(spec: RunSpec) -> bool:
    """Draw the reason, where there is one. Returns whether there was."""
    words = alone_words(spec)
    if words:
        layout.heading(wording.describe(spec), wording.describe_rest(spec))
        layout.note(words)
    return bool(words)
