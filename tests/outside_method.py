"""A method from outside the package: registered by whoever imports this and calls `register_method(Powers)`."""

from collections.abc import Generator
from typing import ClassVar

from pydantic import Field

from core.layer.masks import select
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.spec.methods import Granular, Summary, named
from core.spec.methods.base import Granularity
from core.spec.patterns import Target


class Powers(Granular):
    """The smallest |W|·√G_jj^a go: magnitude at a = 0, Wanda at a = 1."""

    label = "Powers"
    version = 7
    kernel = "tests.outside_method"
    quick = True
    refuses: ClassVar[dict[str, str]] = {"structured": "It is about single entries."}
    summary = Summary(r"\|W\|·‖X‖ᵃ", "as they are", "0")
    name: str = named("powers")
    granularity: Granularity = "row"
    exponent: float = Field(default=0.5, ge=0, le=4, title="Exponent", description="a: how much the inputs count.",
                            json_schema_extra={"symbol": "a"})


def kernel(problem: LayerProblem, target: Target, method: Powers) -> Generator[Step, None, Outcome]:
    """Score, choose, leave the rest as it is."""
    weight = problem.working_weight
    scores = (weight.abs() * problem.input_norm**method.exponent).masked_fill_(problem.dead, -1)
    pruned = select(scores, target, granularity=method.granularity)
    kept = weight.masked_fill(pruned, 0)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=kept, loss=None)
    return Outcome(weight=kept, pruned=pruned)
