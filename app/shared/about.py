"""About PruneScope: version, license, how to cite it, and where the theme is changed. Shown by the menu in the corner of every page."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def version() -> str:
    """Version of this program, as pyproject.toml states it."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@cache
def markdown() -> str:
    """The text, as Markdown."""
    return f"""**PruneScope {version()}** explores one-shot pruning of language models.

License: MIT. Copyright 2026 The PruneScope authors; the file LICENSE holds the text.

To cite the program:

```
{citation()}
```

To cite a number, add its protocol: *How it was measured* below each result holds texts, windows, seed and versions. To cite a
method, cite its paper: docs/methods names it.

Light or dark: the theme is that of your browser or system; this menu changes it for this browser."""


def citation() -> str:
    """BibTeX entry of the program."""
    return f"""@software{{prunescope,
  title   = {{PruneScope}},
  author  = {{{{The PruneScope authors}}}},
  version = {{{version()}}},
  year    = {{2026}},
  license = {{MIT}}
}}"""
