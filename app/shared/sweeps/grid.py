"""Sweeps: which runs a set of curves asks for, and the commands that compute the same. No torch.

    base     model, texts, device and arithmetic: what all runs of a sweep share
    values   methods × patterns × B × α × budgets × seeds; a combination that has no meaning is left out, with the reason
"""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from app.shared.sweeps.points import ground
from core.spec import EVERY_METHOD, METHOD_LABELS, METHODS, RunSpec, make_method, parse_pattern
from core.spec.base import FrozenModel
from core.spec.errors import BadInput, input_errors
from core.spec.flags import to_words
from core.spec.patterns import AlphaBudget

SHOWN_METHODS = ("magnitude", "wanda", "sparsegpt", "thanos", "admm-grad", "frontier")
SHOWN_PATTERNS = {"unstructured": ("0.3", "0.4", "0.5", "0.6", "0.7"), "semi-structured": ("2:4", "4:8"),
                  "structured": ("columns:0.1", "columns:0.2", "columns:0.3", "columns:0.5"),
                  "blocks": ("blocks:1", "blocks:2", "blocks:3"), "neurons": ("neurons:0.1", "neurons:0.2", "neurons:0.3", "neurons:0.5"),
                  "heads": ("heads:2", "heads:3")}
SHAPE_METHODS = ("thanos", "influence")  # of zeros, columns and neurons; of blocks
SHAPE_PATTERNS = tuple(word for kind in ("unstructured", "structured", "neurons", "heads", "blocks") for word in SHOWN_PATTERNS[kind])
FITTING_PATTERNS = ("0.3", "0.5", "0.7", "columns:0.1", "columns:0.3", "neurons:0.1", "neurons:0.3", "neurons:0.5", "heads:0.25",
                    "heads:0.5", "blocks:0.15", "blocks:0.3", "blocks:0.45")  # the same for any model, by shares
SHOWN_BLOCKS = (1, 8, 32, 128, 256, 688)
SHOWN_ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.3)
_PARTS = ("methods", "patterns", "block_sizes", "alphas", "budgets", "seeds")


def block_methods() -> tuple[str, ...]:
    """The methods that have a block size."""
    return tuple(name for name, method in METHODS.items() if method.has_blocks)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The runs of a sweep, each once, and why some combinations are not among them."""

    specs: tuple[RunSpec, ...]
    refused: tuple[str, ...]


class Sweep(FrozenModel):
    """Values to vary around a base. A block size of None is the method's own."""

    base: RunSpec = RunSpec()
    methods: tuple[str, ...] = ("thanos",)
    patterns: tuple[str, ...] = ("0.5",)
    block_sizes: tuple[int | None, ...] = (None,)
    alphas: tuple[float, ...] = (0.0,)
    budgets: tuple[AlphaBudget, ...] = ("paper",)
    seeds: tuple[int, ...] = (0,)
    fitting: bool = False  # combinations of a method and a kind of pattern without meaning are left out in silence

    def grid(self) -> Grid:
        """Every combination that can be run. Without outlier rows, and for whole columns, there is one budget."""
        return _grid(self)  # pyright: ignore[reportArgumentType]  # frozen, so hashable

    def commands(self, file: str = "sweep.json") -> tuple[str, ...]:
        """Command lines that compute exactly the runs of the grid; several where no single one can."""
        parts = self.model_copy(update={"fitting": False})._whole()
        return tuple(_command(part, file if len(parts) == 1 else f"{number}-{file}") for number, part in enumerate(parts, 1))

    def _whole(self) -> tuple[Sweep, ...]:
        """This sweep cut into such that the command line makes too: no combination refused, one budget where there is a choice."""
        grid = self.grid()
        if not grid.specs:
            return ()
        one = len(self.budgets) == 1 and all(_budget(spec) in (None, *self.budgets) for spec in grid.specs)
        if one and not grid.refused and (self.budgets == ("paper",) or None not in map(_budget, grid.specs)):
            return (self,)
        order = ("budgets", "patterns", "alphas", "methods", "block_sizes", "seeds")
        cut = next((part for part in order if len(getattr(self, part)) > 1), None)
        if cut is None:
            return (self.model_copy(update={"budgets": ("paper",)}),)
        pieces = [piece for value in getattr(self, cut) for piece in self.model_copy(update={cut: (value,)})._whole()]
        return _joined(pieces, cut)


def shipped() -> tuple[Sweep, ...]:
    """Sweep shown at a first visit: computed by `python -m app.gallery`, shipped with the program."""
    both: tuple[AlphaBudget, ...] = ("paper", "iso")
    shown = SHOWN_PATTERNS
    return (
        Sweep(methods=SHOWN_METHODS, patterns=shown["unstructured"]),
        Sweep(patterns=("columns:0.3",), alphas=SHOWN_ALPHAS, budgets=both, seeds=(0, 1, 2)),
        *(Sweep(patterns=(word,), block_sizes=(None, *SHOWN_BLOCKS)) for word in ("2:4", "0.5")),
        *(Sweep(methods=SHOWN_METHODS, patterns=shown[kind]) for kind in ("semi-structured", "structured")),
        Sweep(patterns=("0.5",), alphas=SHOWN_ALPHAS, budgets=both),
        Sweep(methods=("magnitude", "wanda", "thanos", "taylor"), patterns=(*shown["neurons"], *shown["heads"])),
        Sweep(methods=("influence", "angular", "left-out", "taylor"), patterns=shown["blocks"]),
    )


@lru_cache(maxsize=256)
def _grid(sweep: Sweep) -> Grid:
    found: dict[RunSpec, None] = {}
    refused: dict[str, None] = {}
    for values in itertools.product(*(getattr(sweep, part) for part in _PARTS)):
        if sweep.fitting and _unfit(values[0], values[1]):
            continue
        try:
            found[spec_at(sweep.base, *values)] = None
        except BadInput as error:
            refused[f"{METHOD_LABELS.get(values[0], values[0])}, {values[1]}: {error}"] = None
    return Grid(specs=tuple(found), refused=tuple(refused))


def _unfit(method: str, pattern: str) -> bool:
    """True for a method that has no meaning for this kind of pattern."""
    return bool(EVERY_METHOD[method].refusal(type(parse_pattern(pattern))))


def spec_at(base: RunSpec, method: str, pattern: str, block: int | None, alpha: float, budget: str, seed: int) -> RunSpec:
    """One run of a sweep. Raises BadInput where the combination has no meaning."""
    own = {"block_size": block} if block is not None and method in block_methods() else {}
    try:
        plain = parse_pattern(pattern)
        budget = "paper" if alpha == 0 or not plain.has_budget else budget
        chosen = parse_pattern(pattern, alpha=alpha, alpha_budget=budget)
        made = make_method(method, **own)
        made.check(chosen)
        calibration = base.calibration.model_copy(update={"seed": seed})
        return RunSpec.model_validate({**dict(base), "method": made, "pattern": chosen, "calibration": calibration})
    except ValidationError as error:
        raise input_errors(error)[0] from error


def _budget(spec: RunSpec) -> str | None:
    """The budget of a run where there is a choice: None without outlier rows and for whole columns."""
    return spec.pattern.budget if spec.pattern.outlier_rows else None


def _joined(pieces: list[Sweep], cut: str) -> tuple[Sweep, ...]:
    """Pieces that differ in the cut part alone, as one again; pieces whose runs others have too are dropped."""
    joined: dict[Sweep, list[object]] = {}
    for piece in pieces:
        joined.setdefault(piece.model_copy(update={cut: ()}), []).extend(getattr(piece, cut))
    whole = [rest.model_copy(update={cut: tuple(dict.fromkeys(values))}) for rest, values in joined.items()]
    if cut == "budgets":
        whole = [rest.model_copy(update={cut: (value,)}) for rest in whole for value in rest.budgets]
    specs = [set(piece.grid().specs) for piece in whole]
    doubled = [any(mine < other or (mine == other and before < at) for before, other in enumerate(specs) if before != at)
               for at, mine in enumerate(specs)]
    return tuple(piece for piece, double in zip(whole, doubled, strict=True) if not double)


def _command(sweep: Sweep, file: str) -> str:
    words = to_words(ground(sweep.base)) | ({"device": sweep.base.device} if sweep.base.device != "auto" else {})
    parts = ["python", "-m", "core", "sweep", "--model", sweep.base.model]
    for word, text in words.items():
        flag = f"--{word.replace('_', '-')}"
        parts += [] if word == "model" else [flag] if text == "true" else [flag, text]
    blocks = sweep.block_sizes if set(sweep.methods) & set(block_methods()) else (None,)  # refused where no method has blocks
    lists = {"methods": sweep.methods, "patterns": sweep.patterns, "seeds": sweep.seeds,
             "block-sizes": tuple("auto" if block is None else block for block in blocks), "alphas": sweep.alphas}
    usual = {"seeds": (0,), "block-sizes": ("auto",), "alphas": (0.0,)}
    for flag, values in lists.items():
        if values != usual.get(flag):
            parts += [f"--{flag}", ",".join(_plain(value) for value in values)]
    if sweep.budgets == ("iso",) and any(sweep.alphas):
        parts += ["--alpha-budget", "iso"]
    return shlex.join([*parts, "--json", file])


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
