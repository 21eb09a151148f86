"""Session of a model that stays in its files: it holds the layers it is asked about, and answers no question about the whole model."""
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from torch import Tensor

from core.models.grams import GramFiles
from core.models.open_model import OpenModel
from core.records import Evaluated
from core.records.previews import Preview
from core.spec import RunSpec
from core.spec.errors import BadInput
from core.spec.patterns import Pattern
from core.whatif.problems import StoredProblems
from core.whatif.session import Session


class LayerSession(Session):
    """As Session, for a model opened by `open_for_layers`. A layer's weight comes from the model's files and its Gram matrix from `files`,
    each when it is asked for; those asked for last are held, up to `room` bytes. Raises NotCollected where `files` lack a block."""

    whole: ClassVar[bool] = False

    def __init__(self, opened: OpenModel, files: GramFiles, *, room: int) -> None:
        reader = opened.block_map.reader
        assert reader is not None, "a model opened for its layers"
        linears = {linear.name: linear for block in opened.block_map.linears for linear in block}
        self._stored = StoredProblems(linears, reader, files, opened.device, room)
        super().__init__(opened, problems=self._stored)

    def row_energy(self, name: str) -> Tensor:
        """As Session, without reading the layer."""
        return self._stored.row_energy(name)

    def preview(self, spec: RunSpec, *, at_once: bool = False) -> Preview:
        """Raises BadInput: a preview solves every layer and runs the whole model."""
        self._refuse("a preview")

    def weigh(self, spec: RunSpec, *, coupled: bool | None = None) -> None:
        """Raises BadInput where `spec` asks for Fisher weighting, which needs the whole model."""
        if spec.fisher:
            self._refuse("Fisher weighting in a what-if")

    def patterns(self, spec: RunSpec) -> Mapping[str, Pattern]:
        """As Session. Raises BadInput where layers share out the zeros, which is measured on the whole model."""
        if spec.allocation != "even":
            self._refuse("an estimate of the allocation")
        return super().patterns(spec)

    def sensitivity(self, name: str) -> float:
        """Raises BadInput: it is measured on the whole model."""
        self._refuse("the sensitivity of a layer")

    def perplexity(self, weights: Mapping[str, Tensor], count: int | None = None) -> Evaluated:
        """Raises BadInput: it is measured on the whole model."""
        self._refuse("a perplexity in a what-if")

    def _refuse(self, wanted: str) -> NoReturn:
        raise BadInput("model", self.opened.source.name, f"for {wanted} a model that fits into memory whole, with its Gram matrices",
                       "Run it instead: a run holds one block at a time.")
