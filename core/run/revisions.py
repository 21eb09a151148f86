"""The exact inputs behind a spec's names, as content addresses: with the spec they make a run's key. No torch."""

from __future__ import annotations

from core.data.texts import text_revision
from core.models.inputs import Inputs, evaluation_names
from core.models.sources import model_revision
from core.records import Revisions
from core.spec import RunSpec

CORE_VERSION = 1  # goes up when a change outside the methods (streaming, perplexity, ...) moves numbers: CHANGELOG says which


def revisions(spec: RunSpec, inputs: Inputs | None = None) -> Revisions:
    """The revisions of now, or of `inputs` taken before. Raises BadInput when the model or a text is not there."""
    if inputs is not None:
        found = dict(inputs.addresses)
    else:
        texts = (spec.evaluation, *spec.further_evaluations)
        found = {"model": model_revision(spec.model, spec.revision),
                 "calibration": text_revision(spec.calibration.source, "calibration"),
                 **{name: text_revision(text.source, "evaluation") for name, text in zip(evaluation_names(spec), texts, strict=True)}}
    first, *further = (found[name] for name in evaluation_names(spec))
    return Revisions(model=found["model"], calibration=found["calibration"], evaluation=first, further_evaluations=tuple(further),
                     method=spec.method.version + _weighed_since(spec), core=CORE_VERSION)


def _weighed_since(spec: RunSpec) -> int:
    """Revision of Fisher weighting: outputs coupled, curves of allocated sparsity weighted. All other keys stay."""
    return (spec.method.couples + (spec.allocation != "even")) if spec.fisher else 0
