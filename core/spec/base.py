"""The base of everything that is asked, recorded or announced: frozen, keyword-only, nothing unknown. No torch."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A frozen value. JSON in, the same JSON out; NaN and infinity survive the trip as strings of JSON5's names."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", validate_default=True)
