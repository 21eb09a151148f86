"""The methods' parameters, one class each: what a person may set, how much work it is, which patterns have a meaning. No torch.

Forms, links, the command line and cache keys are derived from these classes. A method is its class here, and its generator in
`core/methods/`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, TypeAdapter

from core.spec.errors import BadInput
from core.spec.method import BlockSize, Damping, Granularity, Iterations, MethodParameters, RaiseDamping
from core.spec.patterns import Pattern, SemiStructured, Structured


class Magnitude(MethodParameters):
    """The smallest |W| go; nothing else moves."""

    label = "Magnitude"
    name: Literal["magnitude"] = "magnitude"
    granularity: Granularity = "layer"


class Wanda(MethodParameters):
    """The smallest |W|·√G_jj go, row by row; nothing else moves (Sun et al. 2024)."""

    label = "Wanda"
    name: Literal["wanda"] = "wanda"
    granularity: Granularity = "row"


class SparseGPT(MethodParameters):
    """Column by column, each error compensated to the right (Frantar & Alistarh 2023)."""

    label = "SparseGPT"
    name: Literal["sparsegpt"] = "sparsegpt"
    block_size: BlockSize = 128
    damping: Damping = 0.01
    raise_damping: RaiseDamping = False

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return rows * columns**2


class Thanos(MethodParameters):
    """Block by block, each row's removals compensated jointly (Ilin & Richtárik 2025)."""

    label = "Thanos"
    name: Literal["thanos"] = "thanos"
    block_size: BlockSize = None
    damping: Damping = 0.01
    raise_damping: RaiseDamping = False

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3 * (0.5 if isinstance(pattern, Structured) else 1.0)

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        within = 0 if isinstance(pattern, Structured) else min(self.block_size or 128, columns) ** 2 / 48
        return rows * columns * (columns + within)


class Obc(MethodParameters):
    """One weight at a time, always the one whose loss is least with all others refitted: exact, slow (Frantar & Alistarh 2022)."""

    label = "OBC"
    name: Literal["obc"] = "obc"
    granularity: Granularity = "layer"
    damping: Damping = 0.01
    raise_damping: RaiseDamping = False

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            return columns**2 * (rows + 20 * pattern.sparsity * columns)  # a removal goes at the rate of memory, in float64
        return rows * columns**2 * (100 + columns / 12)  # at most columns/6 of the trace at a product's rate; 100 for the choices


class _Admm(MethodParameters):
    """What both ADMMs share: a factorisation for all layers with an input, one product an iteration."""

    iterations: Iterations = 20
    damping: Damping = 0.1

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return self.iterations * rows * columns**2


class Admm1(_Admm):
    """Wanda's mask; the kept weights by the alternating direction method of multipliers (Boža 2024)."""

    label = "ADMM₁"
    name: Literal["admm1"] = "admm1"
    granularity: Granularity = "row"


class AdmmGrad(_Admm):
    """The alternating direction method of multipliers, which chooses its mask as it goes, more of it at each step (Boža 2024)."""

    label = "ADMM-Grad"
    name: Literal["admm-grad"] = "admm-grad"
    granularity: Granularity = "layer"


class AdaPrune(MethodParameters):
    """A simple mask; the kept weights by gradient descent on the layer's error (Hubara et al. 2021)."""

    label = "AdaPrune"
    name: Literal["adaprune"] = "adaprune"
    mask: Literal["wanda", "magnitude"] = Field(default="wanda", title="Mask", description="Whose mask is kept.")
    granularity: Granularity = "row"
    optimizer: Literal["adam", "sgd"] = Field(default="adam", title="Optimizer", description="How the kept weights descend.")
    iterations: Iterations = 200
    learning_rate: float = Field(default=1.0, ge=0.001, le=1.9, title="Learning rate",
                                 description="Adam: times 1 % of the weights' root mean square. SGD: over the greatest curvature.")

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return self.iterations * rows * columns**2


class Dsnot(MethodParameters):
    """A simple mask, edited entry by entry until each row's mean output is right again; no weight moves (Zhang et al. 2024)."""

    label = "DSnoT"
    refuses: ClassVar[dict[str, str]] = {"structured": "It swaps single entries, and a column goes as a whole."}
    name: Literal["dsnot"] = "dsnot"
    mask: Literal["wanda", "magnitude", "sparsegpt"] = Field(default="wanda", title="Mask", description="Whose mask is edited.")
    cycles: int = Field(default=50, ge=0, le=10_000, title="Cycles", description="Swaps in a row, at most.")
    threshold: float = Field(default=0.1, ge=0, le=1, title="Threshold", description="ε: a row is done when its mean output is off "
                             "by no more than this share of its root mean square.", json_schema_extra={"symbol": "ε"})

    @property
    def by_row(self) -> bool:
        return METHODS[self.mask]().by_row

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return METHODS[self.mask]().shared_work(columns, pattern)

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return METHODS[self.mask]().layer_work(rows, columns, pattern) + 20 * self.cycles * rows * columns


class Frontier(MethodParameters):
    """Ours: the mask grows round by round with refits in between, then a search exchanges kept and pruned entries."""

    label = "Frontier"
    version = 3
    couples = True
    name: Literal["frontier"] = "frontier"
    rounds: int = Field(default=8, ge=1, le=1000, title="Rounds", description="How often the mask is chosen anew.")
    steps: int = Field(default=4, ge=1, le=1000, title="Steps a round", description="Conjugate gradient steps after each choice.")
    search: int = Field(default=512, ge=0, le=4096, title="Search width",
                        description="Columns at a time in which kept and pruned entries are exchanged after the rounds; 0: none.")
    patience: int = Field(default=10, ge=0, le=1000, title="Patience",
                          description="Exchanges that lose which are tried before a row's search ends; 0: it ends where none gains.")
    polish: int = Field(default=10, ge=0, le=1000, title="Polish", description="Further steps at the end.")
    damping: Damping = 0.003

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            return 4 * columns**3
        return columns**3 * (1 + (2 / 3 * columns / self.search if self.search and columns > self.search else 0))

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            exchanges = bool(self.search) * columns / 20  # as many as were seen
            return pattern.sparsity * columns**2 * (rows + columns) + exchanges * rows * columns**2
        products = self.rounds * (1 + self.steps) + self.polish
        width = min(self.search, columns)
        if not width:
            return rows * columns * products * columns
        visits = 2 if columns > width or (self.patience and not isinstance(pattern, SemiStructured)) else 1
        if columns > width:
            products += 2 * (1 + self.steps) * columns / width
        moves = self.patience + 15  # as far as was seen
        return rows * columns * (products * columns + 2.5 * visits * width * (width / 4 + 5 / 4 * moves))  # at 40 % of its rate

    def coupling_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """F^φ and which rows may move together, as long as some ten products of c×c×c; c²·b beside each c·b² of the refits; and a search
        in turns, which takes a third longer than one of all rows (measured)."""
        if isinstance(pattern, Structured):
            return 10 * rows**3
        refits = self.rounds * (2 + self.steps) + 2 * self.polish
        return 10 * rows**3 + refits * rows**2 * columns + self.layer_work(rows, columns, pattern) / 3


Method = Annotated[Magnitude | Wanda | SparseGPT | Thanos | Obc | Admm1 | AdmmGrad | AdaPrune | Dsnot | Frontier,
                   Field(discriminator="name")]
METHODS: dict[str, type[MethodParameters]] = {m.model_fields["name"].default: m for m in get_args(get_args(Method)[0])}
METHOD_LABELS = {name: method.label for name, method in METHODS.items()}
_METHOD: TypeAdapter[Method] = TypeAdapter(Method)


def make_method(name: str, **parameters: object) -> Method:
    """The parameters of a method by its name. Raises BadInput for an unknown name, ValidationError for bad parameters."""
    if name not in METHODS:
        raise BadInput("method", name, ", ".join(METHODS), "Choose one of these.")
    unknown = set(parameters) - set(METHODS[name].model_fields)
    if unknown:
        known = ", ".join(field for field in METHODS[name].model_fields if field != "name")
        raise BadInput(sorted(unknown)[0], parameters[sorted(unknown)[0]], f"for {name}: {known or 'no parameters'}",
                       "Leave it out, or choose a method that has it.")
    return _METHOD.validate_python({"name": name, **parameters})
