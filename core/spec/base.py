"""The base of everything that is asked, recorded or announced: frozen, keyword-only, nothing unknown. No torch."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A frozen value. JSON in, the same JSON out; NaN and infinity survive the trip as strings of JSON5's names."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", validate_default=True)

    if TYPE_CHECKING:  # pydantic gives frozen models one that type checkers do not see

        def __hash__(self) -> int: ...
