"""Compute the shipped runs anew: `python -m app.gallery` (make gallery). Needs the demo model; a few minutes.

Six methods at three patterns, each with the defaults of a first visit. The files are RunResult JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.pipeline import prune
from core.records import Evaluated, Finished
from core.spec import RunSpec, make_method, parse_pattern

FOLDER = Path(__file__).parent
METHODS = ("magnitude", "wanda", "sparsegpt", "thanos", "admm-grad", "frontier")
PATTERNS = ("0.5", "2:4", "columns:0.3")


def file_name(spec: RunSpec, word: str) -> str:
    """The default run sorts first: it is what a first visit shows."""
    first = "0-" if spec == RunSpec() else ""
    return f"{first}{spec.method.name}-{word.replace(':', '-')}.json"


def main() -> None:
    dense: Evaluated | None = None
    for name in METHODS:
        for word in PATTERNS:
            spec = RunSpec(method=make_method(name), pattern=parse_pattern(word))
            *_, last = prune(spec, dense=dense)
            assert isinstance(last, Finished)
            dense = last.result.dense
            (FOLDER / file_name(spec, word)).write_text(last.result.model_dump_json(indent=1) + "\n")
            sys.stdout.write(f"{spec.title}: {last.result.pruned.perplexity:.2f} in {last.result.seconds:.1f} s\n")


if __name__ == "__main__":
    main()
