"""The pages: their titles in the order of the navigation, and their files, for links from one to another."""

from __future__ import annotations

from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "pages"
TITLES = {"explore": "Explore", "layers": "Layers", "masks": "Masks", "outliers": "Outlier rows", "curves": "Curves", "compare": "Compare",
          "tryout": "Try it out", "learn": "Learn", "runs": "Runs"}  # by the path of their address; the first has the bare one as well
EXPLORE, LAYERS, OUTLIERS, CURVES, COMPARE = (PAGES / f"{name}.py" for name in ("explore", "layers", "outliers", "curves", "compare"))


def tab_title(title: str) -> str:
    """Title of the browser's tab for a page of this title."""
    return f"{title} · PruneScope"
