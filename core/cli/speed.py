"""Size and speed on the command line: options, measurement with a progress bar, tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from core.cli.options import progress_bar
from core.cli.screen import Screen
from core.records.shapes import RemovedShape
from core.records.size_speed import STAGES, WHY_NO_FASTER, Interval, Sizes, Speed
from core.spec import RunSpec
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from core.evaluate.speed import Workload

SpeedOption = Annotated[bool, typer.Option("--speed", help="Count bytes, and measure prefill and decode on this device.")]
BatchesOption = Annotated[str, typer.Option("--batch-sizes", help="Sequences at a time, with commas.")]
PromptOption = Annotated[int | None, typer.Option("--prompt-tokens", help="Tokens of a prompt. [default: 128, or what the context allows]",
                                                  show_default=False)]
NewOption = Annotated[int | None, typer.Option("--new-tokens", help="Tokens generated for each sequence. [default: 32, or what the context "
                                               "allows]", show_default=False)]
BATCHES = "1,4,16"


def open_workload(spec: RunSpec, wanted: bool, batches: str, prompt: int | None, new: int | None) -> Workload | None:
    """The work to time, checked before anything is computed; None where --speed is not given. Raises BadInput."""
    if not wanted:
        for field, value, usual in (("batch_sizes", batches, BATCHES), ("prompt_tokens", prompt, None), ("new_tokens", new, None)):
            if value != usual:
                raise BadInput(field, str(value), "nothing without --speed", "Add --speed.")
        return None
    from core.evaluate.speed import Workload, fitting
    from core.models.sources import describe_model

    try:
        sizes = tuple(int(word) for word in batches.split(","))
    except ValueError as error:
        raise BadInput("batch_sizes", batches, "whole numbers with commas, such as 1,4,16", "Change it and try again.") from error
    context = describe_model(spec.model, spec.revision).context
    usual = fitting(Workload(), context)
    asked = Workload(batches=sizes, prompt=usual.prompt if prompt is None else prompt, tokens=usual.tokens if new is None else new)
    asked.check(context)
    return asked


def measure(spec: RunSpec, workload: Workload, weights: Mapping[str, Tensor] | None = None, *, shape: RemovedShape | None = None,
            expected: str | None = None) -> tuple[Sizes, Speed]:
    """Count and measure with a progress bar on a terminal."""
    from core.evaluate.size_and_speed import size_and_speed

    with progress_bar() as bar:
        line = bar.add_task(spec.model, total=1.0)
        return size_and_speed(spec, weights, workload, lambda words, share: bar.update(line, completed=share, description=words),
                              shape=shape, expected=expected)


def show_size_and_speed(sizes: Sizes, speed: Speed) -> None:
    """Bytes by format, then tokens a second by batch size."""
    out = Screen(highlight=False)
    out.print(f"size              {_bytes(sizes.folder_bytes)} as a plain folder ({sizes.dtype}); {sizes.zeros:,} of {sizes.weights:,} "
              f"weights are zero, {sizes.removed:,} parameters are removed", soft_wrap=True)
    out.print(f"                  {_bytes(sizes.bitmask_bytes)} as bitmask and values, {_bytes(sizes.packed_bytes)} packed 2:4 "
              f"({sizes.packed_layers} of {len(sizes.layers)} layers fit): formats that this program does not write", soft_wrap=True)
    listing = Table("batch", "", *speed.points[0].prefill, *(["pruned ÷ dense"] if "pruned" in speed.points[0].prefill else []), box=None)
    for point in speed.points:
        for stage in STAGES:
            ratio = speed.ratio(point, stage)
            listing.add_row(str(point.batch), f"{stage}, tokens/s", *(_interval(speed.rate(point, stage, kind)) for kind in point.prefill),
                            *([_interval(ratio, 3)] if ratio else []))
    out.print(listing)
    out.print(f"speed             median (low to high) of {len(speed.points[0].prefill['dense'])} rounds; {speed.prompt} tokens of prompt, "
              f"{speed.tokens} new ones; {speed.device}, {speed.dtype}", soft_wrap=True)
    if speed.ratios and not sizes.removed and not any(ratio.low > 1 for ratio in speed.ratios):
        out.print(f"no faster here    {WHY_NO_FASTER}", soft_wrap=True)
    if speed.no_packed:
        out.print(f"2:4 kernels       not measured. {speed.no_packed}", soft_wrap=True)


def _interval(value: Interval, digits: int = 0) -> str:
    return f"{value.median:,.{digits}f} ({value.low:,.{digits}f} to {value.high:,.{digits}f})"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.2f} MB"
