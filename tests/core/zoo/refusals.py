"""Families that are refused, by words of the reason, and those whose small configuration is not built."""

REFUSED: dict[str, str] = {}
NOT_BUILT: set[str] = set()
