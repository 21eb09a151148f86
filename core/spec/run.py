"""Request of a run. No torch.

Forms, links, the command line and cache keys are derived from the fields of `RunSpec` and of the models it holds.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.spec.base import FrozenModel
from core.spec.errors import BadInput
from core.spec.layers import check_patterns, check_shares
from core.spec.methods import Method, Thanos
from core.spec.patterns import Pattern, Unstructured, check_allocation
from core.spec.texts import FURTHER, Calibration, Evaluation, FurtherEvaluation
from core.spec.updates import Update, check_update
from core.spec.words import text

# fields of a run that say what is done to the model beside method and pattern; the younger came after results had been stored
OPTIONS = ("update", "refit", "true_sequential", "allocation", "propagation", "fisher", "random_rows", "reconstruct", "reconstruct_aim",
           "experts", "skip", "layer_sparsity", "no_optimum")
YOUNGER = ("propagation", "fisher", "random_rows", "reconstruct", "reconstruct_aim", "experts", "skip", "layer_sparsity",
           "no_optimum", "further_evaluations")


class RunSpec(FrozenModel):
    """One run: this method and pattern on this model, calibrated and evaluated so."""

    model: str = Field(default="demo", min_length=1, max_length=256, title="Model",
                       description="demo, a folder below PRUNESCOPE_MODELS, or a hub id")
    revision: str | None = Field(default=None, max_length=64, title="Revision", description="Branch, tag or commit of a hub model.")
    method: Method = Thanos()
    pattern: Pattern = Unstructured()
    update: Update = Field(default="own", title="Update", description="What the kept weights become once the mask is chosen: the method's "
                           "own, or another's on the same mask.")
    refit: bool = Field(default=False, title="Exact refit", description="Solve for the best kept weights after the method.")
    true_sequential: bool = Field(default=False, title="True sequential",
                                  description="Collect inputs again inside a block, after each group of layers.")
    allocation: Literal["even", "marginal", "global"] = Field(
        default="even", title="Allocation", description="even: every layer loses the same share. marginal: the same total, but up to 0.15 "
        "more or less in a layer, by what the next zero costs the model there; measured in one more pass before. global: any share, by one "
        "threshold for the model on the saliencies of K-FAC's Fisher information (NAP).")
    propagation: float = Field(default=0.0, ge=0, le=1, title="Error propagation", description="θ: how much of what the pruned blocks "
                               "before it have lost each layer makes up for. 0: nothing, as is usual; 1: all of it.")
    fisher: float = Field(
        default=0.0, ge=0, le=1, title="Fisher weighting", description="φ: errors count more at outputs that matter more to the "
        "loss (its mean squared gradient there, to the power φ); Frontier also couples the outputs. 0: all outputs "
        "count the same, as is usual.")
    random_rows: int | None = Field(
        default=None, ge=0, le=999_999, title="Random rows", description="The control of outlier rows: as many rows of each layer, "
        "drawn at random, stay dense in place of those with the most energy; the number says which draw. Automatic: those of most energy.")
    reconstruct: int = Field(default=0, ge=0, le=1000, title="Block reconstruction", description="Passes of training over the calibration "
                             "text: after its layers are solved, a block's kept weights are moved toward its aim. 0: none.")
    reconstruct_aim: Literal["model", "block"] = Field(
        default="model", title="Aim of reconstruction", description="model: the dense model's own hidden states behind the block. block: "
        "what the dense block makes of the pruned model's.")
    experts: Literal["routed", "dense", "all"] = Field(
        default="routed", title="Experts", description="routed: an expert's inputs are the tokens that the router sends to it; one that "
        "gets none is pruned by magnitude. dense: the same, but such an expert stays dense. all: every token goes to every expert while "
        "inputs are collected.")
    skip: str = Field(default="", title="Skip layers", description="Patterns of names of layers that stay dense, such as *.v_proj or 0.* "
                      "(the first block), with commas between them.")
    layer_sparsity: str = Field(default="", title="Sparsity by layer", description="Layers with a sparsity of their own, such as "
                                "*.down_proj=0.3, with commas between them; of several that match the last counts.")
    no_optimum: bool = Field(default=False, title="Leave out the optimum", description="Do not compute the least possible error for each "
                             "layer's mask. The pruned model is the same.")
    calibration: Calibration = Calibration()
    evaluation: Evaluation = Evaluation()
    further_evaluations: tuple[FurtherEvaluation, ...] = Field(
        default=(), max_length=8, title="Further evaluation texts",
        description=f"Perplexity on these texts too, in the same run: {FURTHER}.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", title="Device", description="auto: a GPU where there is one.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", title="Arithmetic of the model", description="auto: float32; on a GPU, a checkpoint of over a billion parameters "
        "keeps its own. Gram matrices and solves are float32 always.")

    @field_validator("model")
    @classmethod
    def _model(cls, value: str) -> str:
        return check_model_name(value)

    @field_validator("skip")
    @classmethod
    def _skip(cls, value: str) -> str:
        return check_patterns(value)

    @model_validator(mode="after")
    def _resolve(self) -> RunSpec:
        self.method.check(self.pattern)
        self._check_options()
        check_update(self.update, self.refit)
        check_allocation(self.allocation, self.pattern)
        if not self.reconstruct:
            object.__setattr__(self, "reconstruct_aim", "model")
        elif self.calibration.windows < 2:
            raise BadInput("reconstruct", str(self.reconstruct), "with at least 2 calibration windows",
                           "Some windows are trained on and others watched: ask for more windows.")
        object.__setattr__(self, "layer_sparsity", check_shares(self.layer_sparsity, self.pattern, self.allocation))
        object.__setattr__(self, "method", self.method.resolved(self.pattern))
        for place, further in enumerate(self.further_evaluations):
            if further in (self.evaluation, *self.further_evaluations[:place]):
                raise BadInput("further_evaluations", further.word, "each text once, and not the evaluation text again", "Leave it out.")
        return self

    def _check_options(self) -> None:
        """Raises BadInput for an option that has no meaning for the pattern."""
        for name, reason in self.pattern.refuses.items():
            if getattr(self, name) != (usual := RunSpec.model_fields[name].default):
                raise BadInput(name, text(getattr(self, name)), f"{text(usual)} for {self.pattern.word}", reason)

    @property
    def on_each_text(self) -> tuple[RunSpec, ...]:
        """The same run for each of its evaluation texts alone, the first one first."""
        return tuple(self.model_copy(update={"evaluation": text, "further_evaluations": ()})
                     for text in (self.evaluation, *self.further_evaluations))

    @property
    def leaves_kept_weights(self) -> bool:
        """True if the weights that stay are those of the dense model: no update, no refit."""
        return not self.method.moves_weights() and self.update == "own" and not self.refit

    @property
    def title(self) -> str:
        """A line for lists: what was done to what."""
        block = self.method.own_block_size
        return f"{self.model} · {self.method.label} · {self.pattern.word}" + (f" · B={block}" if block else "")


def check_model_name(name: str) -> str:
    """A hub id (`owner/name`) or a relative folder; nothing that could leave PRUNESCOPE_MODELS."""
    parts = name.split("/")
    safe = all(part and part not in (".", "..") and not part.startswith("~") for part in parts)
    if not safe or "\\" in name or any(not letter.isprintable() for letter in name):
        raise BadInput("model", name, "demo, a folder below PRUNESCOPE_MODELS, or a hub id such as owner/name",
                       "Absolute paths, '..' and control characters are refused; put the folder below PRUNESCOPE_MODELS. The "
                       "command line takes a path, such as --model ./llama.")
    return name
