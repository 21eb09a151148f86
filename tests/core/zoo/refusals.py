"""Families that are refused, by words of the reason."""

REFUSED: dict[str, str] = {"recurrent_gemma": "input_gate_weight .* is not a linear layer: its matrices are stacked in one array"}
