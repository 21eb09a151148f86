"""Addresses that only this machine reaches."""

from __future__ import annotations

_NAMES = ("localhost", "::1", "[::1]")


def is_loopback(address: str | None) -> bool:
    """True where only this machine reaches an address; None means all of its addresses."""
    return address is not None and (address in _NAMES or address.startswith("127."))
