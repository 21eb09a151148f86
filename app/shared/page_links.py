"""The pages, for links from one to another."""

from __future__ import annotations

from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "pages"
EXPLORE, LAYERS, OUTLIERS, COMPARE = (PAGES / f"{name}.py" for name in ("explore", "layers", "outliers", "compare"))
