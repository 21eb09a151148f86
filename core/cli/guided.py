"""Input-guided skipping on the command line: evaluation with a progress bar, a table."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from core.cli.large_files import read_large_files
from core.cli.options import JsonOption, StreamOption, progress_bar, spec_flags, spec_of, streaming
from core.cli.output import require_writable, write_json
from core.cli.screen import Screen
from core.evaluate.comparison import compare
from core.records.guided import InputGuided
from core.spec import EVERY_METHOD
from core.spec.flags import method_words
from core.spec.guide import make_guide
from core.spec.patterns import Blocks

_SCORES = [method for method in EVERY_METHOD.values() if "blocks" in method.shapes]
_WITHOUT = ("further_evaluations", *Blocks.refuses, "alpha", "alpha_budget", "layer_sparsity",
            *(word for word in method_words() if not any(word in method.parameters() for method in _SCORES)))
ClustersOption = Annotated[int, typer.Option("--clusters", help="k: groups of calibration windows, each with blocks of its own to skip.")]
DecideOption = Annotated[int, typer.Option("--decide-on", help="First tokens of a window that decide to which cluster it belongs; 0: all.")]


@spec_flags(*_WITHOUT, usual={"method": "influence", "pattern": "blocks:2"})
def input_guided(words: dict[str, str], clusters: ClustersOption = 4, decide_on: DecideOption = 0, json_file: JsonOption = None,
                 stream: StreamOption = None) -> None:
    """Perplexity against blocks run per token, with 1 to N blocks skipped (--pattern blocks:N): the same for every text, and chosen for
    each text by its cluster. --method is the score: influence, angular, left-out or taylor. An evaluation: no model is written."""
    from core.run.input_guided import input_guided as evaluate

    spec = spec_of(words)
    guide = make_guide(clusters, decide_on)
    guide.check(spec.pattern)
    require_writable(json_file, "json")
    read_large_files(spec)
    with progress_bar() as bar:
        line = bar.add_task(spec.model, total=1.0)
        found = evaluate(spec, guide, streaming=streaming(stream),
                         report=lambda said, share: bar.update(line, completed=share, description=said))
    if str(json_file) != "-":
        show_guided(found)
    write_json(found.model_dump(mode="json"), json_file)


def show_guided(found: InputGuided) -> None:
    """A line for each number of skipped blocks: fixed and guided perplexity, and the paired difference between them."""
    out = Screen(highlight=False)
    out.print(f"dense             {found.dense.perplexity:.2f}   ({found.dense.protocol})", soft_wrap=True, markup=False)
    windows = zip(found.calibration_windows, found.evaluation_windows, strict=True)
    out.print(f"clusters          {', '.join(f'{ours} + {theirs}' for ours, theirs in windows)} windows (calibration + evaluation)",
              soft_wrap=True)
    listing = Table("blocks run", "fixed skips", "perplexity", "guided skips", "perplexity", "guided over fixed", box=None)
    for point in found.points:
        difference = compare(point.fixed, point.guided)
        change = difference.verdict if difference else ""
        listing.add_row(f"{point.blocks_run:g} of {found.blocks}", _blocks(point.fixed_blocks), f"{point.fixed.perplexity:.2f}",
                        "\n".join(map(_blocks, point.cluster_blocks)) if point.differing else "the same",
                        f"{point.guided.perplexity:.2f}", "equal" if point.equal else change)
    out.print(listing)
    out.print(f"calibration       {found.calibration}", soft_wrap=True, markup=False)
    out.print(f"time              {found.seconds:.1f} s, {found.environment.device}")


def _blocks(blocks: tuple[int, ...]) -> str:
    return ",".join(map(str, sorted(blocks)))
