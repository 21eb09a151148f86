"""The command `plan`: layers, places of the data and their bytes, work and time of a run, without weights being read."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.options import JsonOption, StreamOption, spec_flags, spec_of, streaming
from core.cli.output import require_writable, write_json
from core.cli.screen import Screen
from core.records import Plan

MemoryOption = Annotated[float | None, typer.Option(min=0.1, help="Gigabytes that a run may use; by default what is free here.",
                                                    show_default=False)]


@spec_flags()
def plan(words: dict[str, str], json_file: JsonOption = None, stream: StreamOption = None, memory: MemoryOption = None) -> None:
    """Say what a run would prune, what it would hold where, and how long it would take. Reads no weights."""
    from core.run.planning import plan as make_plan

    spec = spec_of(words)
    require_writable(json_file, "json")
    made = make_plan(spec, asked=streaming(stream), limit=None if memory is None else round(memory * 1e9))
    if str(json_file) != "-":
        show_plan(made)
    write_json(made.model_dump(mode="json"), json_file)


def show_plan(made: Plan) -> None:
    """A plan in some lines."""
    out = Screen(highlight=False)
    if made.shape is not None:
        out.print(f"shape        {made.shape.words(made.blocks)}, {made.family}; about {made.removed:,} of {made.parameters:,} parameters "
                  f"go, {made.left:,} are left", soft_wrap=True)
    else:
        out.print(f"layers       {len(made.layers)} in {made.blocks} blocks, {made.family}; {100 * made.sparsity:.1f} % of their "
                  f"{made.prunable:,} weights become zero", soft_wrap=True)
    out.print(f"texts        calibration {made.calibration}; evaluation {made.evaluation}", soft_wrap=True)
    for line in place_lines(made):
        out.print(line, soft_wrap=True)
    rate = made.matrix_rate
    work = f"{made.seconds * rate:.2g} multiply-adds at {rate / 1e9:.0f} billion a second, " if rate else ""
    out.print(f"time         {work}about {_duration(made.seconds)} on {made.device}", soft_wrap=True)
    if made.note:
        out.print(f"note         {made.note}", soft_wrap=True, markup=False)


def place_lines(made: Plan) -> list[str]:
    """Bytes by place, a line each."""
    placed = made.placement
    if placed is None:
        return [f"memory       {_size(made.memory_bytes)}"]
    where = {"device": "on the GPU", "host": "in memory", "disk": "in a file on disk"}[placed.activations]
    weights = (f"{_size(placed.model_bytes)}, whole in memory" if placed.weights == "memory" else
               f"{_size(placed.block_bytes)} a block, read from the files one at a time; {_size(placed.model_bytes)} in all")
    asked = "" if placed.limit_bytes is None else f" of {_size(placed.limit_bytes)} that may be used"
    return [f"memory       {_size(made.memory_bytes)}{asked}; {_size(made.disk_bytes)} of disk",
            f"  weights    {weights}",
            f"  outside    {_size(placed.frame_bytes)}: embeddings, final norm, head",
            f"  activations {_size(placed.activation_bytes)}, {where}",
            f"  working    {_size(placed.working_bytes)}: Gram matrices, one layer's solve, one batch"]


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"
