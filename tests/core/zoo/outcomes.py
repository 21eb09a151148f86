"""Outcome of pruning a tiny model of a family: pruned and stored, or refused, and in which words."""
# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.export.folder import MemoryJournal, save_checkpoint
from core.models.blocks import map_blocks
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import PruneError
from tests.core.zoo.build import build


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`kind`: pruned, refused, not built; `words`: layers of the first block, or the reason."""

    kind: str
    words: str
    experts: int = 0


def outcome(family: str, home: Path) -> Outcome:
    """Build, save, prune half of every layer, export, and load again: the logits are those of the model that was pruned in memory."""
    try:
        model = build(family)
    except Exception as error:  # whatever a configuration raises whose sizes the table does not fit
        return Outcome(kind="not built", words=f"{type(error).__name__}: {error}")
    model.save_pretrained(home / family)
    np.save(home / family / "windows.npy", np.random.default_rng(0).integers(3, 60, (8, 16)))
    text = f"windows:{family}/windows.npy"
    spec = RunSpec(model=family, method=make_method("wanda"), pattern=parse_pattern("0.5"), device="cpu",
                   calibration=Calibration(source=text, windows=4), evaluation=Evaluation(source=text, windows=2))
    journal = MemoryJournal()
    try:
        result = next(event.result for event in prune(spec, journal=journal) if event.kind == "finished")
        save_checkpoint(result, journal.weights, home / f"{family}-pruned")
    except PruneError as error:
        return Outcome(kind="refused", words=str(error))
    tokens = torch.randint(3, 60, (2, 16), generator=torch.Generator().manual_seed(0))
    expected, again = load_model(resolve_model(family)), load_model(resolve_model(f"{family}-pruned"))
    linears = [linear for group in map_blocks(expected).linears for linear in group]
    assert {linear.name for linear in linears} == set(journal.weights)
    for linear in linears:
        assert abs(float((journal.weights[linear.name] == 0).float().mean()) - 0.5) < 0.05, linear.name
        linear.write(journal.weights[linear.name])
    with torch.no_grad():
        one, two = (item(input_ids=tokens, use_cache=False).logits for item in (expected, again))
    assert torch.equal(one, two), f"{family}: logits differ by {float((one - two).abs().max()):.2g}"
    first = [linear for linear in linears if linear.block == linears[-1].block]
    modules = list(dict.fromkeys(linear.module if linear.expert is None else linear.module.replace(f".{linear.expert}", ".N", 1)
                                 for linear in first))
    return Outcome(kind="pruned", words=", ".join(modules), experts=max((1 + (linear.expert or 0) for linear in first
                                                                         if linear.expert is not None), default=0))
