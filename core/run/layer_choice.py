"""Layers that a run prunes, and the pattern of each."""

from __future__ import annotations

from dataclasses import replace

from core.models.blocks import BlockMap
from core.spec import RunSpec
from core.spec.errors import BadInput
from core.spec.layers import is_skipped, own_pattern, patterns_of, require_matches, shares_of
from core.spec.methods import StructureScore
from core.spec.patterns import Pattern


def chosen_layers(block_map: BlockMap, spec: RunSpec) -> BlockMap:
    """The same without the layers that `spec` skips. Raises BadInput for a pattern that matches none, and where none is left."""
    layers = [linear for linears in block_map.linears for linear in linears]
    _refuse_for_experts(spec, has_experts=any(linear.expert is not None for linear in layers))
    require_matches("skip", patterns_of(spec.skip), layers)
    kept = tuple(tuple(linear for linear in linears if not is_skipped(spec.skip, linear)) for linears in block_map.linears)
    left = [linear for linears in kept for linear in linears]
    if not left:
        raise BadInput("skip", spec.skip, f"patterns that leave some of the {len(layers)} layers to prune", "Skip fewer layers.")
    require_matches("layer_sparsity", [name for name, _ in shares_of(spec.layer_sparsity)], left)
    return replace(block_map, linears=kept, all_linears=block_map.linears)


def _refuse_for_experts(spec: RunSpec, *, has_experts: bool) -> None:
    if not has_experts:
        return
    if spec.fisher:
        raise BadInput("fisher", spec.fisher, "0 for a model with experts", "Gradients of single experts are not collected: leave it out.")
    if spec.reconstruct:
        raise BadInput("reconstruct", str(spec.reconstruct), "0 for a model with experts", "Experts are not trained: leave it out.")
    if spec.allocation != "even":
        raise BadInput("allocation", spec.allocation, "even for a model with experts", "Each expert alone would be one more pass through "
                       "the model: choose even, and give layers their own share by layer_sparsity.")


def own_patterns(block_map: BlockMap, spec: RunSpec) -> dict[str, Pattern]:
    """The pattern of every layer that `spec` prunes, as it asks for it: without what an allocation shares out."""
    return {linear.name: own_pattern(spec.pattern, spec.layer_sparsity, linear)
            for linears in chosen_layers(block_map, spec).linears for linear in linears}


def staying(block_map: BlockMap, spec: RunSpec) -> frozenset[int]:
    """Blocks that must stay: those with a layer that the run skips, and those that the method keeps. Raises BadInput for a pattern of
    skipped layers that matches none."""
    assert isinstance(spec.method, StructureScore), "refused by the spec"
    blocks = len(block_map.blocks)
    first, last = spec.method.staying(blocks)
    kept = chosen_layers(block_map, spec).linears
    skipped = {block for block, (before, after) in enumerate(zip(block_map.linears, kept, strict=True)) if len(after) < len(before)}
    return frozenset({*skipped, *range(min(first, blocks)), *range(max(0, blocks - last), blocks)})
