"""Places of the shipped runs: results in full, and points of curves."""

from __future__ import annotations

from pathlib import Path

GALLERY = Path(__file__).resolve().parents[1] / "gallery"
POINTS = GALLERY / "sweep.jsonl"
