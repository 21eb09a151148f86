"""The layers of an open model as problems: each with its weight and the Gram matrix of its input, of the dense model."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping

from core.layer.problem import LayerProblem
from core.models.blocks import Linear
from core.models.grams import GramStore, collect
from core.models.open_model import OpenModel


def layer_problems(opened: OpenModel, linears: Mapping[str, Linear], store: GramStore | None) -> dict[str, LayerProblem]:
    """Every layer of `linears`, in their order, on the model's device; layers that read one input share its Gram matrix and its factors.

    `store` gives Gram matrices that were collected before, and keeps new ones.
    """
    found: dict[str, LayerProblem] = {}
    for inputs in collect(opened, store):
        for item in inputs:
            gram, mean = item.gram.to(opened.device), item.mean.to(opened.device)
            shared: LayerProblem | None = None
            for name in item.layers:
                weight = linears[name].weight.to(opened.device)
                shared = shared.with_weight(weight, name) if shared else LayerProblem(
                    weight=weight, gram=gram, mean=mean, tokens=item.tokens, name=name)
                found[name] = shared
    return {name: found[name] for name in linears}
