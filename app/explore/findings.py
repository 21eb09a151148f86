"""Findings about size and speed, in sentences computed from what was counted and measured. Never a promise."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.shared import numbers
from core.records import Interval, Sizes, Speed, SpeedPoint
from core.records.size_speed import STAGES, WHY_NO_FASTER, Kind, Stage

_NAMES: dict[Kind, str] = {"dense": "dense", "pruned": "pruned", "packed": "pruned, 2:4 kernels"}
_WIDE = 1.3  # highest over lowest ratio of an interval from which rounds are called noisy


def size_finding(size: Sizes) -> str:
    """Bytes of the folder, and what the zeros could save where they were made use of."""
    plain, mask = numbers.size(size.folder_bytes), numbers.size(size.bitmask_bytes)
    removed = (f"{numbers.count(size.removed)} of {numbers.count(size.parameters)} parameters are removed" if size.removed
               else "no parameter is removed, so it is as large as the dense model's")
    share = size.bitmask_bytes / size.folder_bytes
    could = (f"A bitmask with the values that are not zero would take {mask} ({numbers.percent(share)})." if share < 1
             else f"A bitmask with the values that are not zero would take more: {mask}.")
    return f"A plain folder takes {plain}: {removed}. {could}"


def size_rows(size: Sizes) -> list[tuple[str, str, str]]:
    """Format, bytes, and what it is."""
    fit = f"{size.packed_layers} of {numbers.plural(len(size.layers), 'layer')} fit"
    return [
        ("The pruned folder" if size.removed else "Dense, and the pruned folder", numbers.size(size.folder_bytes),
         f"safetensors, {size.dtype}; a zero is stored like any number"),
        ("Bitmask and values", numbers.size(size.bitmask_bytes), "one bit for each weight of the pruned layers, the rest as it is; "
         "transformers does not load it"),
        ("2:4 packed", numbers.size(size.packed_bytes), f"two values and two 2-bit indices for every four weights; {fit}"),
        ("Parameters removed", f"{numbers.count(size.removed)} of {numbers.count(size.parameters)}",
         f"{numbers.count(size.zeros)} of the pruned layers' weights are zero{_whole(size)}"),
    ]


def speed_finding(speed: Speed, *, smaller: bool = False) -> str:
    """Verdict over all batch sizes and both stages, with its reason."""
    ratios = speed.ratios
    faster, slower = [ratio for ratio in ratios if ratio.low > 1], [ratio for ratio in ratios if ratio.high < 1]
    span = _span([ratio.median for ratio in ratios])
    if not faster:
        told = f", slower in {len(slower)} of {len(ratios)} cases" if slower else ", each time within the spread of the rounds"
        return f"The pruned model is no faster on this device: {span}{told}. {_noise(ratios)}{'' if smaller else WHY_NO_FASTER}"
    where = "everywhere" if len(faster) == len(ratios) else f"in {len(faster)} of {len(ratios)} cases"
    return f"On this device the pruned model ran at {span}: faster {where} by more than the spread of the rounds. {_noise(ratios)}".strip()


def _noise(ratios: Sequence[Interval]) -> str:
    """Caution where the rounds differ so much that little can be told."""
    return ("The rounds differ widely: other programs were using this device, so measure again when it is idle. "
            if max(ratio.high / ratio.low for ratio in ratios) > _WIDE else "")


def packed_finding(speed: Speed) -> str:
    """Measured speed with 2:4 kernels, or why there is none."""
    if speed.no_packed:
        return f"2:4 kernels were not measured. {speed.no_packed}"
    ratios = [ratio.median for point in speed.points for stage in STAGES
              if (ratio := speed.ratio(point, stage, "packed")) is not None]
    if not ratios:
        return ""
    return f"With PyTorch's 2:4 kernels the pruned model ran at {_span(ratios)} here."


def speed_table(speed: Speed) -> str:
    """HTML table: tokens a second by batch size, stage and model, with the ratio measured in turn."""
    kinds: list[Kind] = [kind for kind in _NAMES if kind in speed.points[0].prefill]
    heads = "".join(f"<th scope='col'>{escape(head)}</th>" for head in (*(_NAMES[kind] for kind in kinds), *(
        f"{_NAMES[kind]} ÷ dense" for kind in kinds if kind != "dense")))
    body = "".join(_line(speed, point, stage, kinds) for point in speed.points for stage in STAGES)
    return f"<table class='ps-table'><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table>"


def protocol(speed: Speed) -> str:
    """The conditions of the measurement."""
    rounds = {len(point.prefill["dense"]) for point in speed.points}
    count = f"{min(rounds)}" if len(rounds) == 1 else f"{min(rounds)} to {max(rounds)}"
    return (f"Tokens a second of all sequences together: median, in brackets low to high around it, of {count} rounds. In each round the "
            f"models take turns in one process, and the ratio is taken round by round. Prefill: {numbers.plural(speed.prompt, 'token')} "
            f"of prompt; decode: {numbers.plural(speed.tokens, 'token')} more for each sequence. {speed.device}, {speed.dtype}, "
            f"torch {speed.torch}. Another program, device or batch size gives other numbers.")


def speed_rows(speed: Speed) -> list[dict[str, object]]:
    """One row for each round, for a file to take away."""
    return [{"batch": point.batch, "stage": stage, "model": kind, "round": place, "seconds": seconds,
             "tokens": point.batch * (speed.prompt if stage == "prefill" else speed.tokens)}
            for point in speed.points for stage in STAGES for kind in point.prefill
            for place, seconds in enumerate(point.seconds(stage, kind), 1)]


def _span(ratios: list[float]) -> str:
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return f"{low if low == high else f'{low} to {high}'} times the dense model's speed"


def _line(speed: Speed, point: SpeedPoint, stage: Stage, kinds: list[Kind]) -> str:
    cells = [_rate(speed.rate(point, stage, kind)) for kind in kinds]
    cells += [_ratio(ratio) for kind in kinds if kind != "dense" and (ratio := speed.ratio(point, stage, kind)) is not None]
    return (f"<tr><th scope='row'>{stage}, {numbers.plural(point.batch, 'sequence')}</th>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")


def _rate(value: Interval) -> str:
    return f"{_whole_number(value.median)} ({_whole_number(value.low)} to {_whole_number(value.high)})"


def _whole_number(value: float) -> str:
    return numbers.count(round(value)) if value >= 100 else f"{value:.1f}"


def _ratio(value: Interval) -> str:
    return f"{value.median:.2f} ({value.low:.2f} to {value.high:.2f})"


def _whole(size: Sizes) -> str:
    rows, columns = (sum(getattr(layer, name) for layer in size.layers) for name in ("zero_rows", "zero_columns"))
    parts = [numbers.plural(count, f"whole {word}") for count, word in ((columns, "input column"), (rows, "output row")) if count]
    return f", {' and '.join(parts)} among them" if parts else ""
