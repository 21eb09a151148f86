"""Memory of a planned run against what a worker has: refused before anything is loaded, with what would fit. No torch."""

from __future__ import annotations

from core.records import Plan
from core.spec import RunSpec
from core.spec.errors import BadInput

_FEWEST = 8  # calibration windows that are offered instead


def require_memory(plan: Plan, spec: RunSpec, limit: int, *, who: str = "a worker here") -> None:
    """Raises BadInput where the plan's peak is more than `limit` bytes, with what would fit."""
    if plan.memory_bytes > limit:
        raise BadInput("memory", f"about {_size(plan.memory_bytes)}", f"up to {_size(limit)}, what {who} may use",
                       _remedy(plan, spec, limit))


def _remedy(plan: Plan, spec: RunSpec, limit: int) -> str:
    over = plan.memory_bytes - limit
    windows = spec.calibration.windows - -(-over // plan.window_bytes) if plan.window_bytes else 0
    if windows >= _FEWEST:
        return f"With at most {windows} calibration windows in place of {spec.calibration.windows} it fits."
    if spec.dtype in ("auto", "float32") and plan.model_bytes > 2 * over:
        return (f"The model's weights take {_size(plan.model_bytes)} of it, and half of that in bfloat16: choose bfloat16, with fewer "
                "calibration windows if need be, or a smaller model, or more memory for the workers.")
    return (f"The model's weights take {_size(plan.model_bytes)} of it: choose a smaller model, or a machine with more memory."
            if plan.model_bytes else "Lower the calibration windows or their length, or choose a smaller model.")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
