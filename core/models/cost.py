"""Work, time and memory of a run, counted before it starts: multiply-adds by stage, over a rate measured on the device."""

from __future__ import annotations

import time

import torch

from core.layer.optimum import PRODUCTS, Sample, optimum_iterations, optimum_rows, quick_sample
from core.linalg.products import available, product
from core.models.work import Shape, Work
from core.spec import RunSpec
from core.spec.methods import StructureScore
from core.spec.methods.structures import SAMPLE_TOKENS
from core.spec.patterns import Blocks, Pattern, Structured, outlier_count
from core.spec.updates import update_work

_SOLVE = 1.5  # time over (multiply-adds / matrix rate), measured on the demo model
_BESIDE_FAST = 5 / 3  # times that, where products alone are faster (core/linalg/products.py): measured on two blocks of a LLaMA
_ELEMENT = 400.0  # multiply-adds in the time that one output takes besides its product (activations, norms, the loss); measured there too
_TRAINING = 3.0  # forwards in the time of a training pass over as many tokens: forward, back, and the windows that are watched
FISHER_TOKENS = 8192  # of the calibration text that core/run/fisher.py reads, in whole windows: more move the weights of outputs by little
COUPLED_OUTPUTS = 2048  # of a layer at most, where all pairs of them are kept for every layer: c² numbers
_rates: dict[str, float] = {}
_HALF = 0.5  # of the columns, where a number of heads says it
_ERROR_PRODUCTS = 2  # c×b×b of the error of a solution


def optimum_sample(spec: RunSpec, rows: int, columns: int, tokens: int, evaluated: int = 0) -> Sample | None:
    """Rows of a c×b layer from which a run of so many calibration and evaluation tokens takes the optimum: all that are pruned, or a sample
    that costs at most a tenth of the layer's other work; None: it is left out, or the least sample would cost more. A product with G takes
    `_BESIDE_FAST` times a forward's time or more."""
    if spec.no_optimum:
        return None
    other = 2 * tokens * rows * columns / (_SOLVE * _BESIDE_FAST) + spec.method.layer_work(rows, columns, spec.pattern)
    other += _ERROR_PRODUCTS * rows * columns**2 + update_work(spec.update, rows, columns, refit=spec.refit)
    chosen = optimum_rows(rows, columns, pruned=rows - outlier_count(rows, spec.pattern.outlier_rows), other_work=other,
                          singular=tokens < columns)
    other += evaluated * rows * columns / (_SOLVE * _BESIDE_FAST)
    iterations = optimum_iterations(rows, columns, chosen=chosen, other_work=other)
    return Sample(rows=chosen, iterations=iterations) if iterations else None


def count_work(shape: Shape, spec: RunSpec, *, calibration_tokens: int, evaluation_tokens: int, window: int,
               dense_known: bool = False) -> Work:
    """Counted from shapes alone. A matrix product of c×b by b×T counts c·b·T."""
    attention = sum(share == 1 for share in shape.tokens) * window * shape.hidden / 2
    read = list(zip(shape.tokens, shape.groups, strict=True))
    forward = sum(share * (columns + _ELEMENT) * sum(rows) for share, (columns, rows) in read) + attention
    if not spec.pattern.solves:
        return _depth_work(shape, spec, forward, calibration_tokens, (1 if dense_known else 2) * evaluation_tokens)
    gram = sum((1 if spec.experts == "all" else share) * columns * columns for share, (columns, _) in read)
    head = (shape.hidden + _ELEMENT) * shape.vocabulary
    streams = 1 if dense_known else 2
    passes = 2 if spec.propagation else 1  # through the dense model as well, and its inputs times these
    collect = calibration_tokens * passes * (forward + gram)
    return Work(collect=collect, push=calibration_tokens * forward,
                solve=_slower() * _solve_work(shape, spec, calibration_tokens, evaluation_tokens),
                evaluate=streams * evaluation_tokens * (forward + head),
                allocate=_sharing_work(shape, spec, collect, forward, head, calibration_tokens),
                reconstruct=calibration_tokens * forward * (1 + _TRAINING * spec.reconstruct) if spec.reconstruct else 0.0,
                score=_score_work(shape, spec, forward + head, calibration_tokens),
                weigh=min(calibration_tokens, FISHER_TOKENS) * (4 * (forward + head) + pairs(shape, spec)) if spec.fisher else 0.0)


def gram_bytes(shape: Shape) -> int:
    """Bytes of the Gram matrices of a whole model. Hidden states are the input of attention, of its output and of the MLP: three inputs."""
    return sum(4 * columns * columns * (3 if columns == shape.hidden else 1) for columns, _ in shape.groups)


def collecting_seconds(shape: Shape, spec: RunSpec, tokens: int, rate: float) -> float:
    """Seconds to collect them from so many tokens, with the row energies of all layers, at a rate in multiply-adds a second."""
    work = count_work(shape, spec, calibration_tokens=tokens, evaluation_tokens=0, window=1)
    energies = sum(columns * columns * sum(rows) for columns, rows in shape.groups)
    return (work.collect + _slower() * energies) / rate


def _score_work(shape: Shape, spec: RunSpec, each: float, tokens: int) -> float:
    """Of a method that scores neurons or heads before they go; `each` token is a forward pass of it."""
    method = spec.method
    return min(tokens, SAMPLE_TOKENS) * method.passes(shape.blocks) * each if isinstance(method, StructureScore) else 0.0


def _depth_work(shape: Shape, spec: RunSpec, forward: float, calibration_tokens: int, evaluation_tokens: int) -> Work:
    """Work of a run in which whole blocks go: their scores, and the evaluation, the pruned model's as if none went."""
    method, pattern = spec.method, spec.pattern
    assert isinstance(method, StructureScore), "refused by the spec"
    assert isinstance(pattern, Blocks), "all others have a target for each layer"
    head = (shape.hidden + _ELEMENT) * shape.vocabulary
    tokens = min(calibration_tokens, SAMPLE_TOKENS) if method.sampled else calibration_tokens
    rounds = max(1, pattern.number(shape.blocks)) if method.one_at_a_time else 1
    scores = rounds * tokens * (method.passes(shape.blocks) * forward + (shape.blocks * head if method.sampled else 0))
    return Work(collect=0.0, solve=0.0, push=0.0, allocate=scores, evaluate=evaluation_tokens * (forward + head))


def calibration_states(spec: RunSpec) -> int:
    """Number of hidden states that a run keeps of each calibration token: the pruned model's, the dense model's, a block's aim."""
    dense = bool(spec.propagation) or (bool(spec.reconstruct) and spec.reconstruct_aim == "model")
    return 1 + dense + (bool(spec.reconstruct) and spec.reconstruct_aim == "block")


def pairs(shape: Shape, spec: RunSpec) -> int:
    """All pairs of outputs of the layers whose rows are coupled, or whose saliencies are compared, c² a layer."""
    every = spec.allocation == "global"
    return sum(count * count for _, rows in shape.groups for count in rows
               if _coupled(spec, count) or (every and count <= COUPLED_OUTPUTS))


def _coupled(spec: RunSpec, rows: int) -> bool:
    """True if a layer of so many outputs has its rows coupled (core/layer/coupled_rows.py)."""
    return bool(spec.fisher) and spec.method.couples and rows <= COUPLED_OUTPUTS


def _slower() -> float:
    """Time over (multiply-adds / matrix rate) of what is done to layers; a model's forward goes at the rate."""
    return _SOLVE * (_BESIDE_FAST if available() else 1.0)


def _sharing_work(shape: Shape, spec: RunSpec, collect: float, forward: float, head: float, tokens: int) -> float:
    """Of the pass that shares the zeros out between layers."""
    match spec.allocation:
        case "even":
            return 0.0
        case "marginal":
            return collect + _slower() * _allocation_work(shape, forward, head)
        case "global":
            inverses = sum(columns**3 + sum(min(count, COUPLED_OUTPUTS)**3 for count in rows) for columns, rows in shape.groups)
            return collect + _slower() * inverses + min(tokens, FISHER_TOKENS) * (4 * (forward + head) + pairs(shape, spec))


def _allocation_work(shape: Shape, forward: float, head: float) -> float:
    """Five curves of 20 iterations, and each layer alone through half the model: see core/run/allocation.py."""
    curves = sum(5 * (columns**3 + 20 * sum(rows) * columns**2) for columns, rows in shape.groups)
    return curves + sum(len(rows) for _, rows in shape.groups) * 2048 * (forward / 2 + head)


def _solve_work(shape: Shape, spec: RunSpec, tokens: int, evaluated: int) -> float:
    total, pattern = 0.0, solved_pattern(spec)
    for columns, rows in shape.groups if shape.solved is None else shape.solved:
        total += spec.method.shared_work(columns, pattern)
        for count in rows:
            total += spec.method.layer_work(count, columns, pattern)
            total += spec.method.coupling_work(count, columns, pattern) if _coupled(spec, count) else 0.0
            sample = optimum_sample(spec, count, columns, tokens, evaluated)
            total += (_ERROR_PRODUCTS * count + (PRODUCTS * sample.rows if sample else 0)) * columns**2
            total += update_work(spec.update, count, columns, refit=spec.refit)
    return total


def solved_pattern(spec: RunSpec) -> Pattern:
    """The pattern of a layer that is solved: whole columns, where units go that it reads."""
    if spec.pattern.like != "structured":
        return spec.pattern
    return Structured(sparsity=_HALF if spec.pattern.share is None else spec.pattern.share)


def solve_seconds(spec: RunSpec, rows: int, columns: int, rate: float) -> float:
    """One layer alone, at a rate in multiply-adds a second."""
    method, pattern = spec.method, spec.pattern
    work = method.shared_work(columns, pattern) + method.layer_work(rows, columns, pattern)
    return _slower() * (work + update_work(spec.update, rows, columns, refit=spec.refit)) / rate


def layer_seconds(spec: RunSpec, rows: int, columns: int, rate: float) -> float:
    """The same with the layer's error and its optimum."""
    products = _ERROR_PRODUCTS * rows + PRODUCTS * quick_sample(rows, columns).rows
    return solve_seconds(spec, rows, columns, rate) + _slower() * products * columns**2 / rate


def matrix_rate(device: torch.device) -> float:
    """Multiply-adds a second of a float32 matrix product here: the best this process has seen, as the machine does other work at times.

    Each call looks again, some 5 ms.
    """
    size = 4096 if device.type == "cuda" else 512
    one = torch.ones(size, size, device=device)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        float(product(one, one)[0, 0])
        best = min(best, time.perf_counter() - start)
    _rates[device.type] = max(_rates.get(device.type, 0.0), size**3 / best)
    return _rates[device.type]
