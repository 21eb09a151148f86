"""Families that are refused, by words of the reason."""

REFUSED: dict[str, str] = {"recurrent_gemma": "it keeps .*input_gate_weight in a stack of matrices .*, and not in a linear layer"}
