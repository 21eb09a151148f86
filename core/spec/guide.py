"""Request of input-guided skipping: clusters of calibration windows, each with decoder blocks of its own to leave out. No torch."""

from __future__ import annotations

from pydantic import Field, ValidationError

from core.spec.base import FrozenModel
from core.spec.errors import BadInput, input_errors
from core.spec.patterns import Pattern

MOST_CLUSTERS = 64


class Guide(FrozenModel):
    """Settings of input-guided skipping beside its run, which says which score chooses how many blocks."""

    clusters: int = Field(default=4, ge=1, le=MOST_CLUSTERS, title="Clusters", description="k: groups of calibration windows by k-means on "
                          "their mean embeddings; each has blocks of its own to skip.", json_schema_extra={"symbol": "k"})
    decide_on: int = Field(default=0, ge=0, le=1_000_000, title="Tokens that decide", description="A window's first tokens, by whose mean "
                           "embedding its cluster is chosen. 0: all of its tokens.")

    def check(self, pattern: Pattern) -> None:
        """Raises BadInput for a pattern whose blocks cannot be chosen anew for each input."""
        if pattern.solves or not pattern.amount:
            raise BadInput("pattern", pattern.word, "blocks:1 or more, or a share of them such as blocks:0.25",
                           "Input-guided skipping chooses whole decoder blocks for each text: say how many.")

    def check_windows(self, windows: int, *lengths: int) -> None:
        """Raises BadInput for more clusters than calibration `windows`, and for more tokens that decide than a window has."""
        if self.clusters > windows:
            raise BadInput("clusters", self.clusters, f"1 to {windows}, the number of calibration windows",
                           "Ask for fewer clusters, or for more windows.")
        if lengths and self.decide_on > min(lengths):
            raise BadInput("decide_on", self.decide_on, f"0 to {min(lengths)}, the tokens of a window", "0 takes the whole window.")


def make_guide(clusters: int, decide_on: int = 0) -> Guide:
    """Settings from a form or a command. Raises BadInput for a value out of range."""
    try:
        return Guide(clusters=clusters, decide_on=decide_on)
    except ValidationError as error:
        raise input_errors(error)[0] from error
