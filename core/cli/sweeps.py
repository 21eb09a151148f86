"""Grid of a sweep."""

from __future__ import annotations

import itertools

from core.cli.options import notes, spec_of
from core.records import RunResult
from core.spec import METHODS, RunSpec
from core.spec.errors import BadInput, PruneError


def grid(words: dict[str, str], **lists: str) -> list[RunSpec]:
    """Every combination, methods outermost; a B for a method without blocks is left out, and no run is there twice.

    A combination that has no meaning is left out too, and said. Raises PruneError where a value is in none that has one.
    """
    lists = {name: lists[name] for name in ("methods", "patterns", "block_sizes", "alphas", "seeds")}
    values = [[part.strip() for part in text.split(",") if part.strip()] for text in lists.values()]
    for name, given in zip(lists, values, strict=True):
        if not given:
            raise BadInput(name, lists[name], "one value or several, with commas", "Leave it out for the usual one.")
    found, used, refused = list[RunSpec](), set[tuple[int, str]](), dict[tuple[str, ...], str]()
    for combination in itertools.product(*values):
        method, pattern, block, alpha, seed = combination
        parameters = METHODS[method].model_fields if method in METHODS else {}
        both = {**words, "method": method, "pattern": pattern, "alpha": alpha, "seed": seed}
        if block != "auto" and "block_size" in parameters:
            both["block_size"] = block
        both = {word: text for word, text in both.items() if word not in ("damping", "raise_damping", "granularity") or word in parameters}
        try:
            spec = spec_of(both)
        except PruneError as error:
            refused[combination] = str(error)
            continue
        used.update(enumerate(combination))
        if spec not in found:
            found.append(spec)
    useless = [reason for combination, reason in refused.items() if not used.issuperset(enumerate(combination))]
    if useless:
        raise PruneError("\n       ".join(dict.fromkeys(useless)))
    for reason in dict.fromkeys(refused.values()):
        notes.print(f"Left out: {reason}", markup=False, highlight=False, soft_wrap=True)
    return found


def same_dense(result: RunResult, spec: RunSpec, model: str, evaluation: str) -> bool:
    """True if a result's dense perplexity is the one that this spec would measure."""
    other = result.spec
    return ((other.evaluation, other.device, other.dtype) == (spec.evaluation, spec.device, spec.dtype)
            and (result.revisions.model, result.revisions.evaluation) == (model, evaluation))
