"""Base class of the methods' parameters: what a method declares of itself. No torch.

Forms, links, the command line, sweeps, lessons, tables and cache keys read these declarations and the fields; nothing asks for a class.
A method has a `label`, a `name` and whatever differs from the defaults below; `Blocked`, `Damped` and `Granular` are its traits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field
from pydantic.fields import FieldInfo

from core.spec.base import FrozenModel
from core.spec.errors import BadInput
from core.spec.patterns import KINDS, AnyPattern, Pattern

UpdateFamily = Literal["none", "obs", "admm", "gradient", "exact"]
Lesson = Literal["steps", "masks"]
BLOCK_SIZES = {"semi-structured": 512}  # by kind of pattern, where B is automatic; _BLOCK_SIZE for the others
_BLOCK_SIZE = 128


class Summary(NamedTuple):
    """A method's row in the table of docs/methods/README.md. `products` counts products of c×b by b×b."""

    mask: str
    weights: str
    products: str
    page: str = ""  # of docs/methods/


class MethodParameters(FrozenModel):
    """Base of the parameters of all methods. `version` goes up when a change moves the numbers: it is part of every cache key.

    `name` is a field of every method, `named("…")`: its word in links and on the command line.
    """

    if TYPE_CHECKING:  # not a field here, so that each class says where it stands in the JSON
        name: str = ""

    label: ClassVar[str] = ""
    version: ClassVar[int] = 1
    kernel: ClassVar[str] = ""  # dotted path of the module with `kernel`; empty: core.methods.<name>
    order: ClassVar[int] = 1000  # place in lists and legends
    couples: ClassVar[bool] = False  # rows compensate for each other where Fisher weighting says what that is worth
    refuses: ClassVar[Mapping[str, str]] = {}  # kind of pattern -> why this method has no meaning for it
    solves_layers: ClassVar[bool] = True  # it has a kernel for one layer
    shapes: ClassVar[frozenset[str]] = frozenset()  # kinds of patterns that shrink and whose structures it can score
    update_family: ClassVar[UpdateFamily] = "none"  # how the kept weights are found; 'none': they do not move
    has_blocks: ClassVar[bool] = False
    has_damping: ClassVar[bool] = False
    quick: ClassVar[bool] = False  # one layer of a small model takes so little that nobody needs to ask for it
    lessons: ClassVar[frozenset[Lesson]] = frozenset()  # of the Learn page
    summary: ClassVar[Summary] = Summary("its own", "its own", "?")

    @classmethod
    def moves_weights(cls) -> bool:
        """The kept weights change."""
        return cls.update_family != "none"

    @classmethod
    def parameters(cls) -> dict[str, FieldInfo]:
        """Parameters that a person can set, by name, in the order of forms and flags."""
        return {name: field for name, field in cls.model_fields.items() if name != "name"}

    @property
    def by_row(self) -> bool:
        """Single entries go in equal numbers from every row, each row's share rounded down."""
        return False

    @property
    def own_block_size(self) -> int | None:
        """B. None: the method has no blocks, or B is automatic."""
        return None

    @property
    def own_damping(self) -> float | None:
        """λ asked for. None: the method has none of its own."""
        return None

    @property
    def may_raise_damping(self) -> bool:
        """A failed factorization is tried again with more damping."""
        return False

    def check(self, pattern: Pattern) -> None:
        """Raises BadInput for a pattern that has no meaning for this method."""
        reason = self.refusal(type(pattern))
        if reason:
            allowed = " or ".join(kind.example for kind in KINDS.values() if not self.refusal(kind))
            raise BadInput("pattern", pattern.word, f"for {self.label}, {allowed}", reason)

    @classmethod
    def refusal(cls, pattern: type[AnyPattern]) -> str:
        """Reason why a kind of pattern has no meaning for this method; empty where it has one."""
        own = pattern.model_fields["kind"].default
        return "" if own in cls.shapes else pattern.scored_by or cls.refuses.get(own, cls.refuses.get(pattern.like, ""))

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        """Multiply-adds that layers with the same b inputs share: what is made of G alone."""
        return 0.0

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """Multiply-adds of one c×b layer beyond that; a product with a b×b matrix is c·b²."""
        return 0.0

    def coupling_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """Multiply-adds beyond that of a layer whose rows are coupled."""
        return 0.0

    def resolved(self, pattern: Pattern) -> Self:
        """The same parameters with every 'automatic' replaced by what it means for this pattern."""
        return self


def named(name: str) -> str:
    """The field `name` of a method."""
    return Field(default=name, pattern=f"^{name}$")


def automatic_block_size(kind: str) -> int:
    """B for a kind of pattern, where nothing is asked for."""
    return BLOCK_SIZES.get(kind, _BLOCK_SIZE)


BlockSize = Annotated[
    int | None,
    Field(ge=1, title="Block size", description="B: columns pruned at a time. Automatic: 128, for n:m 512.",
          json_schema_extra={"symbol": "B"}),
]
Damping = Annotated[
    float,
    Field(ge=0, le=100, title="Damping", description="λ: this share of the mean diagonal is added to the Gram matrix.",
          json_schema_extra={"symbol": "λ"}),
]
RaiseDamping = Annotated[
    bool,
    Field(title="May raise damping", description="If the factorization fails, try 10 times the damping, up to 3 times; "
          "the result says so."),
]
Iterations = Annotated[int, Field(ge=1, le=10_000, title="Iterations", description="Products of the weights with a b×b matrix.")]
Granularity = Annotated[
    Literal["layer", "row"],
    Field(title="Compare within", description="One threshold for the layer, or one for each row."),
]


class Granular(MethodParameters):
    """A method with a field `granularity`."""

    if TYPE_CHECKING:
        granularity: Granularity = "layer"

    @property
    def by_row(self) -> bool:
        return self.granularity == "row"


class Blocked(MethodParameters):
    """A method with a field `block_size`: None is automatic."""

    if TYPE_CHECKING:
        block_size: BlockSize = None
    has_blocks = True

    @property
    def own_block_size(self) -> int | None:
        return self.block_size

    def resolved(self, pattern: Pattern) -> Self:
        return self.model_copy(update={"block_size": automatic_block_size(pattern.kind)}) if self.block_size is None else self


class Damped(MethodParameters):
    """A method with a field `damping`."""

    if TYPE_CHECKING:
        damping: Damping = 0.0
    has_damping = True

    @property
    def own_damping(self) -> float | None:
        return self.damping


class Compensating(Damped):
    """A method that compensates removals by the Cholesky factor of the damped H (OBS), with a field `raise_damping` besides."""

    if TYPE_CHECKING:
        raise_damping: RaiseDamping = False
    update_family = "obs"

    @property
    def may_raise_damping(self) -> bool:
        return self.raise_damping

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3
