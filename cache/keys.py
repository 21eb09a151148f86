"""Keys by content: everything a value depends on goes in, so that a changed input is another key. No torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel

from core.records import Revisions
from core.spec import OPTIONS, YOUNGER, RunSpec

Part = BaseModel | Mapping[str, object] | str | int | float | bool | None
# fields of a spec that say what is done to the dense model
PRUNING = ("method", "pattern", *OPTIONS)
_KEY = re.compile(r"[0-9a-f]{64}")


def canonical_json(model: BaseModel) -> bytes:
    """The one JSON of a model: sorted keys, no spaces, UTF-8."""
    return _canonical(model.model_dump(mode="json"))


def content_key(kind: str, **parts: Part) -> str:
    """sha256, in hex, of a kind of value and of all it depends on."""
    named = {name: part.model_dump(mode="json") if isinstance(part, BaseModel) else part for name, part in parts.items()}
    return hashlib.sha256(_canonical({"kind": kind, "parts": named})).hexdigest()


def run_key(spec: RunSpec, revisions: Revisions) -> str:
    """A run: its spec, and the revisions of model, texts, method and core behind the spec's names."""
    return content_key("run", spec=_asked(spec), revisions=revisions)


def plan_key(spec: RunSpec, revisions: Revisions) -> str:
    """A plan: everything a run depends on, because its estimates do."""
    return content_key("plan", spec=_asked(spec), revisions=revisions)


def _asked(spec: RunSpec) -> dict[str, object]:
    """The spec; fields that are younger than results already stored leave no trace at their default, so that these are found again."""
    return spec.model_dump(mode="json", exclude={name for name in YOUNGER if getattr(spec, name) == RunSpec.model_fields[name].default})


def dense_key(spec: RunSpec, revisions: Revisions) -> str:
    """The perplexity of the unpruned model on the first evaluation text. Named is what it does not depend on, so that a new field of a
    spec counts."""
    asked = spec.model_dump(mode="json", exclude={*PRUNING, "calibration", "further_evaluations"})
    found = revisions.model_dump(mode="json", exclude={"method", "calibration", "further_evaluations"})
    return content_key("dense", spec=asked, revisions=found)


def grams_key(spec: RunSpec, revisions: Revisions) -> str:
    """The Gram matrices of the dense model. As for `dense_key`, named is what they do not depend on."""
    asked = spec.model_dump(mode="json", exclude={*PRUNING, "evaluation", "further_evaluations"})
    found = revisions.model_dump(mode="json", exclude={"method", "evaluation", "further_evaluations"})
    if spec.experts == "all":  # the only choice of these that changes what experts see
        asked["experts"] = spec.experts
    return content_key("grams", spec=asked, revisions=found)


def task_key(spec: RunSpec, revisions: Revisions, content: str, run: str | None) -> str:
    """Scores on a task of this content (its examples under their limit, prompts and metrics): of a run's weights, or of the dense model."""
    if run is not None:
        return content_key("task", run=run, content=content)
    return content_key("task", model=revisions.model, core=revisions.core, device=spec.device, dtype=spec.dtype, content=content)


def files_key(files: Iterable[Path]) -> str:
    """The contents of some files, wherever they lie: whether two processes run the same code, say."""
    digests = sorted(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def is_key(text: str) -> bool:
    """True if a text (from a link, say) has the form of a key."""
    return _KEY.fullmatch(text) is not None


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
