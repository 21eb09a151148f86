"""The pruning core. Names are loaded on first use (PEP 562), so that `import core.spec` costs no torch."""

from __future__ import annotations

import importlib

_HOMES = {
    "core.spec.errors": ("BadInput", "Diverged", "IllConditioned", "PruneError"),
    "core.spec": ("Calibration", "Evaluation", "Magnitude", "RunSpec", "SemiStructured", "SparseGPT", "Structured", "Thanos",
                  "Unstructured", "Wanda", "parse_pattern"),
    "core.layer.problem": ("LayerProblem",),
    "core.layer.solution": ("LayerSolution",),
    "core.layer.optimum": ("optimum",),
    "core.layer.steps": ("Step",),
    "core.methods.solve": ("solve", "steps"),
    "core.layer.updates": ("update",),
    "core.run.pipeline": ("prune",),
    "core.run.planning": ("plan",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)  # noqa: PLE0605  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
