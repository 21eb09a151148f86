"""Findings of input-guided skipping, in sentences computed from the record. Differences within their noise are ties."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.shared import numbers
from core.evaluate.comparison import compare
from core.records.guided import GuidedPoint, InputGuided


def guided_finding(found: InputGuided) -> str:
    """Answer to whether choosing blocks per input pays, and the numbers where it matters most."""
    if all(point.equal for point in found.points):
        return ("No: every cluster of text chooses the same blocks as all texts together, or no evaluation window is of one that does not, "
                "so choosing per input changes nothing here.")
    verdicts = [verdict(point) for point in found.points]
    lower, higher = verdicts.count("lower"), verdicts.count("higher")
    parts = [f"lower at {lower}", f"higher at {higher}", f"a tie or the same at {len(verdicts) - lower - higher}"]
    answer = "Yes" if lower and not higher else "No" if not lower else "It depends"
    strongest = max(found.points, key=_strength)
    change = compare(strongest.fixed, strongest.guided)
    run, guided, fixed = numbers.setting(strongest.blocks_run), strongest.guided.perplexity, strongest.fixed.perplexity
    return (f"{answer}: of {numbers.plural(len(verdicts), 'depth')}, perplexity with blocks chosen per input is {', '.join(parts)}. "
            f"With {run} of {found.blocks} blocks run it is {numbers.perplexity(guided)}, and {numbers.perplexity(fixed)} with the same "
            f"blocks for every text{f' ({change.verdict})' if change else ''}.")


def verdict(point: GuidedPoint) -> str:
    """`lower`, `higher` or `tie`: perplexity per input beside the same blocks for every text."""
    change = compare(point.fixed, point.guided)
    if point.equal or change is None or change.noise is None or change.tied:
        return "tie"
    return "lower" if change.nats < 0 else "higher"


def guided_rows(found: InputGuided) -> list[tuple[str, list[str]]]:
    """Rows of the table: a column for each number of skipped blocks."""
    changes = [compare(point.fixed, point.guided) for point in found.points]
    rows = [("Skipped for every text", [blocks_words(point.fixed_blocks) for point in found.points]),
            ("Perplexity", [numbers.perplexity(point.fixed.perplexity) for point in found.points])]
    rows += [(f"Skipped in cluster {cluster + 1}", [blocks_words(point.cluster_blocks[cluster]) for point in found.points])
             for cluster in range(len(found.calibration_windows))]
    return [*rows, ("Perplexity per input", [numbers.perplexity(point.guided.perplexity) for point in found.points]),
            ("Per input over fixed", ["equal" if point.equal else change.verdict if change else "–"
                                      for point, change in zip(found.points, changes, strict=True)])]


def guided_heads(found: InputGuided) -> list[str]:
    """Heads of the table's columns."""
    return [f"{numbers.setting(point.blocks_run)} of {found.blocks} blocks run" for point in found.points]


def guided_protocol(found: InputGuided) -> str:
    """Windows of the clusters, and what the choice may owe to tokens that it sees ahead."""
    first = found.guide.decide_on
    read = f"the first {numbers.plural(first, 'token')} of a window decide" if first else "all tokens of a window decide"
    share = numbers.fine_percent(math.expm1(found.lookahead))
    several = len(found.calibration_windows) > 1
    ahead = f", those that are predicted as well, which is worth at most {share} of perplexity" if several else ""
    return (f"{numbers.plural(len(found.calibration_windows), 'cluster')} by k-means on mean embeddings; windows by cluster: calibration "
            f"{_listed(found.calibration_windows)}, evaluation {_listed(found.evaluation_windows)}. Blocks and clusters come from "
            f"calibration windows alone ({found.calibration}); {read}{ahead}. Nothing can be saved: no configuration says that a model's "
            "depth depends on its input.")


def guided_csv(found: InputGuided) -> list[dict[str, object]]:
    """The points as rows of a file."""
    rows: list[dict[str, object]] = []
    for point in found.points:
        change = compare(point.fixed, point.guided)
        rows.append({"blocks": found.blocks, "blocks_run": point.blocks_run, "fixed_blocks": blocks_words(point.fixed_blocks),
                     "fixed_perplexity": point.fixed.perplexity, "cluster_blocks": "; ".join(map(blocks_words, point.cluster_blocks)),
                     "guided_perplexity": point.guided.perplexity, "change_percent": change.percent if change else None,
                     "change_stderr_percent": change.noise_percent if change else None})
    return rows


def blocks_words(blocks: Sequence[int]) -> str:
    """`1, 3`."""
    return ", ".join(map(str, sorted(blocks)))


def _strength(point: GuidedPoint) -> float:
    """Distance from a tie, in standard errors."""
    change = compare(point.fixed, point.guided)
    return abs(change.nats) / change.noise if change and change.noise else -1.0


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(map(str, counts))
