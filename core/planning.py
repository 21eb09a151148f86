"""What a run would do: the layers it matches, how many entries go, an estimate of time and memory. Loads no weights."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import nn

from core.calibration import EMBEDDED_WINDOWS, window_length
from core.errors import BadInput
from core.estimate import FISHER_TOKENS, Shape, count_work, matrix_rate, memory_bytes, pairs
from core.models import BlockMap, Linear, load_skeleton, map_blocks, parameter_count
from core.patterns import Columns, Entries, Groups, Pattern, SemiStructured, nearby, outlier_count
from core.records import Plan, PlannedLayer
from core.sources import ModelSource, describe_model
from core.spec import RunSpec

BATCH_TOKENS = 4096  # of one forward: what a cache holds; 8192 and 2048 are slower


def plan(spec: RunSpec) -> Plan:
    """Raises PruneError for a model or layer that the spec cannot be applied to."""
    source = describe_model(spec.model, spec.revision)
    model = load_skeleton(source)
    block_map = map_blocks(model)
    layers = planned_layers(block_map, spec.pattern)
    device = choose_device(spec.device)
    shape = model_shape(model, block_map)
    calibration = window_length(spec.calibration.length, source.context, "calibration")
    evaluation = window_length(spec.evaluation.length, source.context, "evaluation")
    calibration_tokens = spec.calibration.windows * calibration
    asked = spec.evaluation.windows or (EMBEDDED_WINDOWS if spec.evaluation.source == "embedded" else None)
    evaluation_tokens = (asked or 150) * evaluation  # the literature's texts have some 150 windows
    work = count_work(shape, spec, calibration_tokens=calibration_tokens, evaluation_tokens=evaluation_tokens,
                      window=max(calibration, evaluation))
    parameters = parameter_count(model)
    largest = max(((layer.rows, layer.columns) for layer in layers), key=lambda size: size[0] * size[1])
    dtype = choose_dtype(spec, source, device)
    kept = calibration_tokens * (2 if spec.propagation else 1) + 2 * evaluation_tokens  # hidden states of so many tokens at a time
    rate = matrix_rate(device)
    if spec.fisher:
        kept = max(kept, len(block_map.blocks) * min(calibration_tokens, FISHER_TOKENS))  # before the run: those before every block
    return Plan(
        layers=layers, parameters=parameters, blocks=len(block_map.blocks), context=source.context, family=source.family,
        device=device_name(device), calibration=_windows(spec.calibration.windows, calibration),
        evaluation=_windows(asked, evaluation),
        seconds=0.5 + work.total / rate, matrix_rate=rate,
        memory_bytes=memory_bytes(shape, parameters=parameters, tokens=kept, dtype_bytes=dtype.itemsize, largest=largest,
                                  batch_tokens=BATCH_TOKENS) + 4 * pairs(shape, spec),
        disk_bytes=sum(layer.parameters for layer in layers) * dtype.itemsize, note=_note(spec))


def _windows(count: int | None, length: int) -> str:
    return f"{count or 'all'} window{'' if count == 1 else 's'} of {length} tokens"


def _note(spec: RunSpec) -> str | None:
    if spec.allocation == "even" or isinstance(spec.pattern, SemiStructured):
        return None
    low, high = nearby(spec.pattern, -1), nearby(spec.pattern, 1)
    return (f"Layers are listed with the even share. The run first looks at what zeros cost in each layer, then gives each its own share, "
            f"between {100 * low:.4g} % and {100 * high:.4g} %; the total stays.")


def desk_bytes(spec: RunSpec) -> int:
    """What a desk holds at most (core/desk.py): the model in float32, and one Gram matrix a layer. Loads no weights."""
    model = load_skeleton(describe_model(spec.model, spec.revision))
    grams = sum(linear.columns**2 for linears in map_blocks(model).linears for linear in linears)
    return 4 * (parameter_count(model) + grams)


def planned_layers(block_map: BlockMap, pattern: Pattern) -> tuple[PlannedLayer, ...]:
    """Every linear layer of every block, with what the pattern takes. Raises BadInput naming the first layer it does not fit."""
    return tuple(_planned(linear, pattern) for linears in block_map.linears for linear in linears)


def _planned(linear: Linear, pattern: Pattern) -> PlannedLayer:
    try:
        target = pattern.target(linear.rows, linear.columns)
    except BadInput as error:
        raise BadInput(error.field, error.value, f"{error.allowed} ({linear.name}, {linear.rows}×{linear.columns})",
                       error.remedy) from error
    dense = outlier_count(linear.rows, pattern.outlier_rows)
    short = 0
    match target:
        case Entries(count=count):
            pruned = count
        case Columns(count=count):
            pruned = count * (linear.rows - dense)
        case Groups(n=n, m=m):
            short = linear.columns % m
            pruned = (linear.rows - dense) * (linear.columns // m) * n
    return PlannedLayer(name=linear.name, block=linear.block, module=linear.module, rows=linear.rows, columns=linear.columns,
                        pruned=pruned, dense_rows=dense, dense_columns=short)


def model_shape(model: nn.Module, block_map: BlockMap) -> Shape:
    """Layers of one block with the same number of inputs are counted as one group: at least as many as really share."""
    groups: list[tuple[int, tuple[int, ...]]] = []
    for linears in block_map.linears:
        by_columns: dict[int, list[int]] = {}
        for linear in linears:
            by_columns.setdefault(linear.columns, []).append(linear.rows)
        groups.extend((columns, tuple(rows)) for columns, rows in by_columns.items())
    embeddings = model.get_input_embeddings()  # type: ignore[operator]
    vocabulary, hidden = embeddings.weight.shape
    return Shape(groups=tuple(groups), hidden=int(hidden), vocabulary=int(vocabulary))


def choose_device(asked: str) -> torch.device:
    """Raises BadInput where a GPU is asked for and there is none."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise BadInput("device", asked, "auto or cpu on this machine", "It has no CUDA device.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(spec: RunSpec, source: ModelSource, device: torch.device) -> torch.dtype:
    """The dtype of the model's own arithmetic."""
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    large = device.type == "cuda" and source.parameters > 1_000_000_000 and source.dtype in ("bfloat16", "float16")
    return getattr(torch, source.dtype) if large else torch.float32


def device_name(device: torch.device) -> str:
    threads = torch.get_num_threads()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {threads} thread{'s' * (threads > 1)}"
