"""Words of input-guided skipping in a link of the Curves page. No torch, no streamlit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.spec import RunSpec, make_method
from core.spec.codec import ModelCodec
from core.spec.guide import MOST_CLUSTERS, Guide
from core.spec.patterns import Blocks

GUIDED_WORDS = {"score": "score", "most": "most", "clusters": "clusters", "decide_on": "decide_on"}


class Guided(Guide):
    """Input-guided skipping as a page asks for it."""

    score: Literal["influence", "angular", "left-out", "taylor"] = Field(default="influence", title="Blocks chosen by")
    most: int = Field(default=2, ge=1, le=MOST_CLUSTERS, title="Blocks skipped, at most", description="1 to so many, each a point.")

    @property
    def guide(self) -> Guide:
        """The settings beside the run."""
        return Guide(clusters=self.clusters, decide_on=self.decide_on)

    def spec(self, base: RunSpec) -> RunSpec:
        """The run whose blocks are chosen, on the model and texts of `base`. Options without meaning for blocks have their defaults."""
        usual = RunSpec()
        kept = {name: value for name, value in dict(base).items() if name not in Blocks.refuses}
        plain = {name: getattr(usual, name) for name in (*Blocks.refuses, "layer_sparsity", "further_evaluations")}
        return RunSpec.model_validate({**kept, **plain, "method": make_method(self.score), "pattern": Blocks(count=self.most)})


GUIDED = ModelCodec(model=Guided, fields=GUIDED_WORDS)
