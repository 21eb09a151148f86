"""WikiText-2 perplexities from the papers, to be shown beside one's own where model and protocol agree. Never computed with.

Source: Ilin & Richtárik 2025, "Thanos" (arXiv:2504.05346), its own runs of all methods. Its protocol: calibration on 128 windows of
min(2048, context) tokens of C4; WikiText-2 raw test joined with blank lines, windows of min(2048, context) tokens, no overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.shared.sweeps.points import Point
from core.spec import RunSpec, parse_pattern
from core.spec.patterns import Pattern, Structured, outlier_count

SOURCE = "Ilin & Richtárik 2025, arXiv:2504.05346"
_ROWS = 4096  # ⌈αc⌉/c of a layer of this many rows: α within 0.0002
_MODELS = {
    "LLaMA-2 7B": ("meta-llama/Llama-2-7b-hf",), "LLaMA-2 13B": ("meta-llama/Llama-2-13b-hf",),
    "LLaMA-2 70B": ("meta-llama/Llama-2-70b-hf",), "LLaMA-3 1B": ("meta-llama/Llama-3.2-1B",),
    "LLaMA-3 3B": ("meta-llama/Llama-3.2-3B",), "LLaMA-3 8B": ("meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-3-8B"),
    "LLaMA-3 70B": ("meta-llama/Meta-Llama-3-70B", "meta-llama/Llama-3-70B"),
    "TinyLlama-1.1B": ("TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T", "TinyLlama/TinyLlama_v1.1"),
}
DENSE = {"LLaMA-2 7B": 5.47, "LLaMA-2 13B": 4.88, "LLaMA-2 70B": 3.32, "LLaMA-3 1B": 9.75, "LLaMA-3 3B": 7.81, "LLaMA-3 8B": 6.14,
         "LLaMA-3 70B": 2.85}
PROTOCOL = "WikiText-2 raw test, windows of 2048 tokens, no overlap; calibrated on 128 windows of 2048 tokens of C4"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number from a paper. `doubt`: what the paper itself says against it."""

    model: str
    method: str
    pattern: Pattern
    perplexity: float
    table: str
    block_size: int | None = None
    doubt: str = ""

    @property
    def sparsity(self) -> float:
        """The counted sparsity that the pattern means: α leaves rows dense, and whole columns make up for it."""
        kept = outlier_count(_ROWS, self.pattern.outlier_rows) / _ROWS
        if isinstance(self.pattern, Structured):
            return self.pattern.sparsity
        share = self.pattern.sparsity if self.pattern.kind == "unstructured" else self.pattern.n / self.pattern.m
        return share * (1 - kept)


def published_for(points: Iterable[Point]) -> tuple[Published, ...]:
    """Published values for the model of these points, if their protocol is the paper's."""
    found = {name for point in points if _paper_protocol(point.spec, point) for name in _MODELS if point.spec.model in _MODELS[name]}
    return tuple(number for number in NUMBERS if number.model in found)


def paper_name(model: str) -> str | None:
    """The paper's name for a model on the hub."""
    return next((name for name, ids in _MODELS.items() if model in ids), None)


def _paper_protocol(spec: RunSpec, point: Point) -> bool:
    """WikiText-2's test set in full, and C4, in windows of 2048; and nothing done beside the method."""
    whole = spec.evaluation.source == "hub:wikitext2" and spec.evaluation.windows is None and point.pruned.length == 2048
    calibrated = spec.calibration.source == "hub:c4" and spec.calibration.windows == 128 and spec.calibration.length in (None, 2048)
    plain = spec == spec.model_copy(update={"update": "own", "refit": False, "true_sequential": False, "allocation": "even",
                                            "propagation": 0.0, "fisher": 0.0})
    return whole and calibrated and plain


def _row(model: str, word: str, table: str, numbers: dict[str, float], *, alpha: float = 0.0, doubt: str = "") -> tuple[Published, ...]:
    """One line of a table; α is Thanos's alone, the paper runs the others without."""
    return tuple(Published(model=model, method=method, perplexity=value, table=table, doubt=doubt,
                           pattern=parse_pattern(word, alpha=alpha if method == "thanos" else 0.0)) for method, value in numbers.items())


def _three(thanos: float, sparsegpt: float, wanda: float) -> dict[str, float]:
    return {"thanos": thanos, "sparsegpt": sparsegpt, "wanda": wanda}


def _blocks(word: str, table: str, values: dict[int, float]) -> tuple[Published, ...]:
    return tuple(Published(model="TinyLlama-1.1B", method="thanos", pattern=parse_pattern(word), perplexity=value, table=table,
                           block_size=block) for block, value in values.items())


_BARS = "Fig. 1b of the same paper shows about {}, its table another number; nothing in it settles which is right"
_UNEQUAL = "Thanos with α = 0.1 is 45 % sparse here, the others 50 %: not the same sparsity"
NUMBERS: tuple[Published, ...] = (
    *_row("LLaMA-3 8B", "columns:0.3", "structured 30 %", {"thanos": 36.61}, alpha=0.1),
    *_row("LLaMA-3 8B", "columns:0.3", "structured 30 %", {"thanos": 64.43}, doubt=_BARS.format("52 for Thanos without outlier rows")),
    *_row("LLaMA-3 8B", "columns:0.3", "structured 30 %", {"sparsegpt": 82.19}, doubt=_BARS.format("45 for SparseGPT")),
    *_row("LLaMA-2 70B", "columns:0.3", "structured 30 %", _three(9.82, 15.56, 468.96), alpha=0.1),
    *_row("LLaMA-3 70B", "columns:0.3", "structured 30 %", _three(16.62, 36.75, 36.47), alpha=0.1),
    *_row("LLaMA-3 8B", "0.5", "unstructured 50 %", _three(9.32, 9.36, 9.83)),
    *_row("LLaMA-2 7B", "0.5", "unstructured 50 %", _three(6.96, 7.02, 6.92)),
    *_row("LLaMA-3 8B", "4:8", "4:8", _three(10.97, 12.13, 14.51), alpha=0.1, doubt=_UNEQUAL),
    *_row("LLaMA-3 70B", "4:8", "4:8", _three(6.29, 7.20, 7.10), alpha=0.1, doubt=_UNEQUAL),
    *_row("LLaMA-3 70B", "2:4", "2:4", _three(7.39, 9.44, 9.22), alpha=0.1, doubt=_UNEQUAL),
    *_row("LLaMA-2 7B", "2:4", "2:4", _three(9.68, 10.82, 12.13), alpha=0.1, doubt=_UNEQUAL),
    *_row("LLaMA-2 70B", "2:4", "2:4", _three(4.98, 5.69, 5.48), alpha=0.1, doubt=_UNEQUAL),
    *_blocks("0.5", "block size, unstructured 50 %",
             {8: 11.00, 64: 11.00, 128: 11.03, 256: 11.03, 1024: 10.99, 2048: 10.99, 4096: 10.99}),
    *_blocks("4:8", "block size, 4:8", {8: 14.44, 64: 14.33, 128: 14.26, 256: 14.22, 1024: 14.17, 2048: 13.83, 4096: 13.85}),
    *_blocks("2:4", "block size, 2:4", {8: 19.83, 64: 19.88, 128: 19.68, 256: 19.37, 1024: 18.97, 2048: 18.60, 4096: 18.61}),
)
