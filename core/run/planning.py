"""Plan of a run: the layers it matches, how many entries go, an estimate of time and memory. Loads no weights."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from core.data.texts import SEEN_WHOLE, text_file
from core.data.windows import EMBEDDED_WINDOWS, evaluation_windows, window_length
from core.models.blocks import BlockMap, Linear, map_blocks, parameter_count
from core.models.cost import Shape, Work, count_work, matrix_rate, pairs
from core.models.device import BATCH_TOKENS, choose_device, choose_dtype, device_name
from core.models.expert_grams import expert_share
from core.models.loading import load_skeleton
from core.models.open_model import OpenModel, refusal
from core.models.placement import Streaming, model_sizes, place, streaming
from core.models.sources import ModelSource, describe_model
from core.models.text_reader import text_reader
from core.models.tokenizing import load_tokenizer, reads_text
from core.records import Plan, PlannedLayer, PlannedShape
from core.run.layer_choice import chosen_layers, staying
from core.run.units import going_units, planned_units
from core.spec import Evaluation, RunSpec
from core.spec.errors import BadInput
from core.spec.layers import own_pattern
from core.spec.patterns import Blocks, Columns, Entries, Groups, Pattern, Structured, Unstructured, nearby, outlier_count

_BYTES_A_TOKEN = 4  # of English text, roughly: a large one is not tokenized for a plan
_USUAL_WINDOWS = 150  # of the literature's evaluation texts, for one that is still on a hub


def plan(spec: RunSpec, *, source: ModelSource | None = None, asked: Streaming | None = None, limit: int | None = None) -> Plan:
    """Raises PruneError for a model or layer that the spec cannot be applied to. `source`: a model known by its configuration alone.
    `asked` and `limit`, bytes of memory, decide what a run would hold in memory (core/models/placement.py)."""
    source = source or describe_model(spec.model, spec.revision)
    if reads_text(spec):
        load_tokenizer(source)
    model = load_skeleton(source)
    whole = map_blocks(model)
    block_map = chosen_layers(whole, spec)
    layers = planned_layers(block_map, spec, model)
    going = planned_shape(model, whole, block_map, spec)
    device = choose_device(spec.device)
    shape = model_shape(model, block_map, spec)
    calibration = window_length(spec.calibration.length, source.context, "calibration")
    texts = [_evaluated_windows(text, source, model) for text in (spec.evaluation, *spec.further_evaluations)]
    calibration_tokens = spec.calibration.windows * calibration
    counts = [(windows or _USUAL_WINDOWS) * length for windows, length in texts]
    evaluation_tokens, window = sum(counts), max(length for _, length in texts)
    work = count_work(shape, spec, calibration_tokens=calibration_tokens, evaluation_tokens=evaluation_tokens,
                      window=max(calibration, window))
    dtype = choose_dtype(spec, source, device)
    sizes = model_sizes(model, block_map, spec, calibration_tokens=calibration_tokens, evaluation_tokens=evaluation_tokens,
                        window=calibration, read_tokens=max(window, min(BATCH_TOKENS, max(counts))), dtype=dtype)
    placement = place(sizes, device, asked=streaming(asked), limit=limit, refused=refusal(source, model))
    rate = matrix_rate(device)
    return Plan(
        layers=layers, parameters=parameter_count(model), blocks=len(block_map.blocks), context=source.context, family=source.family,
        device=device_name(device), calibration=_windows(spec.calibration.windows, calibration),
        evaluation=_all_windows(spec, texts),
        seconds=0.5 + work.total / rate, matrix_rate=rate,
        memory_bytes=placement.memory_bytes + 4 * pairs(shape, spec), placement=placement,
        disk_bytes=sum(layer.parameters for layer in layers) * dtype.itemsize
        + (sizes.activations if placement.activations == "disk" else 0),
        model_bytes=sizes.model, window_bytes=sizes.window, shape=going,
        note=" ".join(filter(None, (*source.notes, *block_map.notes, _skipped(block_map, spec), placement.note, _note(spec)))) or None)


def _evaluated_windows(asked: Evaluation, source: ModelSource, model: nn.Module) -> tuple[int | None, int]:
    """Number and length of the windows of an evaluation text that a run will read. Counted in the text; of a large text what was asked,
    or by its size. None: not known yet, as the text is still on a hub."""
    text, length = asked.source, window_length(asked.length, source.context, "evaluation")
    file = None if text == "embedded" else text_file(text, "evaluation")
    if file is not None and file.stat().st_size > SEEN_WHOLE and file.suffix != ".npy":
        return asked.windows or max(1, file.stat().st_size // (_BYTES_A_TOKEN * length)), length
    if source.bytes and (text == "embedded" or file is not None):
        read = evaluation_windows(asked, text_reader(source, model)).tokens
        return read.shape[0], read.shape[1]
    return asked.windows or (EMBEDDED_WINDOWS if text == "embedded" else None), length


def _all_windows(spec: RunSpec, texts: Sequence[tuple[int | None, int]]) -> str:
    """`64 windows of 256 tokens; hub:wikitext2: all windows of 256 tokens`."""
    first, *more = (_windows(*text) for text in texts)
    return "; ".join([first, *(f"{text.source}: {words}" for text, words in zip(spec.further_evaluations, more, strict=True))])


def _windows(count: int | None, length: int) -> str:
    return f"{count or 'all'} window{'' if count == 1 else 's'} of {length} tokens"


def _skipped(block_map: BlockMap, spec: RunSpec) -> str | None:
    """A sentence on the layers that the run leaves out."""
    every = sum(map(len, block_map.every))
    left = every - sum(map(len, block_map.linears))
    if left and not spec.pattern.solves:
        return "Blocks of which a layer is skipped stay."
    return f"{left} of {every} layers are skipped and stay dense." if left else None


def _note(spec: RunSpec) -> str | None:
    if not spec.pattern.solves:
        return f"{spec.method.label} is measured at the start of the run and decides which blocks go."
    if spec.allocation == "even" or not isinstance(spec.pattern, Unstructured | Structured):
        return None
    if spec.allocation == "global":
        return ("Layers are listed with the even share. The run first measures saliencies in all layers, then each loses what lies below "
                "one threshold; the total stays.")
    low, high = nearby(spec.pattern, -1), nearby(spec.pattern, 1)
    return (f"Layers are listed with the even share. The run first looks at what zeros cost in each layer, then gives each its own share, "
            f"between {100 * low:.4g} % and {100 * high:.4g} %; the total stays.")


def session_bytes(spec: RunSpec) -> int:
    """Most memory of a what-if session (core/whatif/session.py): the model in float32, and one Gram matrix a layer. Loads no weights."""
    model = load_skeleton(describe_model(spec.model, spec.revision))
    grams = sum(linear.columns**2 for linears in map_blocks(model).linears for linear in linears)
    return 4 * (parameter_count(model) + grams)


def planned_layers(block_map: BlockMap, spec: RunSpec, model: nn.Module) -> tuple[PlannedLayer, ...]:
    """Every linear layer of every block, with what its pattern takes; where whole blocks go, it is not known from which. Raises BadInput
    naming the first layer it does not fit."""
    layers = (linear for linears in block_map.linears for linear in linears)
    if not spec.pattern.by_layer:
        units = planned_units(model, block_map, spec)
        pruned = units[0] if units else {}
        return tuple(PlannedLayer(name=linear.name, block=linear.block, module=linear.module, rows=linear.rows, columns=linear.columns,
                                  pruned=pruned.get(linear.name, 0), dense_rows=0) for linear in layers)
    return tuple(_planned(linear, own_pattern(spec.pattern, spec.layer_sparsity, linear)) for linear in layers)


def planned_shape(model: nn.Module, block_map: BlockMap, chosen: BlockMap, spec: RunSpec) -> PlannedShape | None:
    """The whole blocks that go, at the mean of their sizes, or the neurons or heads; None where none do. Raises BadInput where the model
    has too few."""
    units = planned_units(model, chosen, spec)
    if units is not None:
        return units[1]
    if not isinstance(spec.pattern, Blocks):
        return None
    blocks = [parameter_count(block) for block in block_map.blocks]
    count = spec.pattern.number(len(blocks), len(staying(block_map, spec)))
    return PlannedShape(unit="blocks", count=count, parameters=round(count * sum(blocks) / len(blocks)))


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


def work_of(spec: RunSpec, opened: OpenModel, block_map: BlockMap, *, dense_known: bool) -> Work:
    """Work of a run on an open model; less where the dense model's perplexity is known."""
    read, asked = [text.tokens for text in opened.evaluations], opened.calibration.tokens
    return count_work(model_shape(opened.model, block_map, spec), spec, dense_known=dense_known, calibration_tokens=asked.numel(),
                      evaluation_tokens=sum(text.numel() for text in read), window=max(text.shape[1] for text in read))


def model_shape(model: nn.Module, block_map: BlockMap, spec: RunSpec) -> Shape:
    """Layers of one block with the same number of inputs are counted as one group, at least as many as really share; each of an expert's
    layers is a group that reads its share of the tokens. Where neurons or heads go, only the layers that read them are solved."""
    groups: list[tuple[int, tuple[int, ...]]] = []
    shares: list[float] = []
    for block, linears in zip(block_map.blocks, block_map.linears, strict=True):
        by_columns: dict[int, list[int]] = {}
        for linear in (linear for linear in linears if linear.expert is None):
            by_columns.setdefault(linear.columns, []).append(linear.rows)
        experts = [linear for linear in linears if linear.expert is not None]
        groups.extend((columns, tuple(rows)) for columns, rows in by_columns.items())
        groups.extend((linear.columns, (linear.rows,)) for linear in experts)
        shares += [1.0] * len(by_columns) + [expert_share(block, linear) for linear in experts]
    embeddings = model.get_input_embeddings()  # type: ignore[operator]
    vocabulary, hidden = embeddings.weight.shape
    units = going_units(model, block_map, spec)
    readers = None if units is None else tuple((layers.reader.columns, (layers.reader.rows,)) for layers in units.units.blocks)
    return Shape(groups=tuple(groups), shares=tuple(shares), hidden=int(hidden), vocabulary=int(vocabulary),
                 blocks=len(block_map.blocks), solved=readers)
