"""Patterns that take the same number of units from every block, out of all layers that make or read them: neurons, heads. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from core.spec.errors import BadInput
from core.spec.pattern_base import SHARE, PatternBase, Sparsity, as_written, read_share
from core.spec.shapes import Counted, NoOutlierRows
from core.spec.targets import Columns

MULTIPLE = 8  # of the sizes that are left, which is what matrix kernels work in
ONE_BY_ONE: Mapping[str, str] = {"heads": "It chooses one column after the other, and a head's columns go together: choose magnitude, "
                                 "Wanda, Thanos or another method that scores all columns at once."}  # for a method's `refuses`


class Neurons(PatternBase):
    """Hidden units of the MLPs: a column of the layer that reads them, and a row of each layer that makes them.

    The same number stays in every block, the multiple of 8 that is nearest to (1 − p) of them.
    """

    label, example, prefix, unit, like = "neurons", "neurons:0.3 (of the MLPs)", "neurons", "neurons", "structured"
    shrinks, by_layer = True, False
    alike = "Every block keeps as many neurons, since a configuration has one size for all: choose columns, which are zeros."
    refuses: ClassVar[Mapping[str, str]] = {"random_rows": "No rows are chosen: leave it out."}

    kind: Literal["neurons"] = "neurons"
    sparsity: Sparsity = 0.3
    outlier_rows: NoOutlierRows = 0.0

    @property
    def word(self) -> str:
        return f"neurons:{self.sparsity!r}"

    @classmethod
    def parse(cls, word: str) -> dict[str, object] | None:
        match = re.fullmatch(rf"neurons?:{SHARE}", word)
        return {"sparsity": read_share(match)} if match else None

    @property
    def share(self) -> float | None:
        return self.sparsity

    def left(self, neurons: int) -> int:
        """Number of neurons that stay, of so many. Raises BadInput where a multiple of 8 cannot be fewer."""
        exact = (1 - as_written(self.sparsity)) * neurons / MULTIPLE
        found = MULTIPLE * max(1, math.floor(exact + as_written(0.5)))
        if self.sparsity and found >= neurons:
            raise BadInput("pattern", self.word, f"a share that leaves a multiple of {MULTIPLE} of the {neurons} neurons, and fewer",
                           "Choose a larger share.")
        return found if self.sparsity else neurons

    def target(self, rows: int, columns: int) -> Columns:
        """Raises BadInput: a layer alone has no target."""
        raise BadInput("pattern", self.word, "a pattern of the weights of one layer", "Neurons go from all layers of an MLP together: run "
                       "it; for a layer alone choose columns.")


class Heads(Counted):
    """Attention heads: their columns of the output projection, and their rows of the query, key and value projections.

    The same number goes from every block. With grouped queries whole groups go: a key and value head with all queries that read it.
    """

    label, example, prefix, unit, like = "heads", "heads:2 or heads:0.25 (attention heads)", "heads", "heads", "structured"
    shrinks, by_layer, whence = True, False, " from each block"
    alike = "Every block keeps as many heads, since a configuration has one number for all: choose columns, which are zeros."
    refuses: ClassVar[Mapping[str, str]] = {"random_rows": "No rows are chosen: leave it out."}

    kind: Literal["heads"] = "heads"
    count: int | None = Field(default=None, ge=0, le=100_000, title="Heads", description="How many heads go from each block.")
    sparsity: Sparsity | None = None
    outlier_rows: NoOutlierRows = 0.0

    def left(self, groups: int, span: int = 1) -> int:
        """Number of groups that stay, of so many with `span` heads each. Raises BadInput for heads that are no whole groups, and where
        none would be left."""
        heads = self.nearest(groups) if self.sparsity is None else span * self.nearest(groups)
        few = self.sparsity and not heads
        if heads % span or heads > span * (groups - 1) or few:
            numbers = ", ".join(str(span * gone) for gone in range(1, groups)) or "none: there is one group"
            whole = f", in whole groups of {span} that share a key and a value head" if span > 1 else ""
            raise BadInput("pattern", self.word, f"for this model's {span * groups} heads{whole}: {numbers}", "Choose one of these.")
        return groups - heads // span

    def target(self, rows: int, columns: int) -> Columns:
        """Raises BadInput: a layer alone has no target."""
        raise BadInput("pattern", self.word, "a pattern of the weights of one layer", "Heads go from all layers of an attention together: "
                       "run it; for a layer alone choose columns.")
