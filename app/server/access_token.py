"""The access token: random, kept in a file that its owner alone can read, compared in constant time.

    HOME/token             made at the first start beyond loopback              PRUNESCOPE_TOKEN=WORD   a token of your own
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from app.shared.loopback import is_loopback
from core.spec.errors import BadInput

_SHORTEST = 16  # letters of a token of one's own


def required(address: str | None) -> bool:
    """True where a server at this address asks for a token: beyond loopback, and wherever PRUNESCOPE_TOKEN is set (behind a proxy, say)."""
    return not is_loopback(address) or bool(os.environ.get("PRUNESCOPE_TOKEN"))


def read_token(home: Path) -> str:
    """PRUNESCOPE_TOKEN, or the token in HOME/token, made if need be. Raises BadInput for one that is short or that others can read."""
    own = os.environ.get("PRUNESCOPE_TOKEN", "")
    if own:
        if len(own) < _SHORTEST or not own.isascii() or not own.isprintable():
            raise BadInput("PRUNESCOPE_TOKEN", "(not shown)", f"at least {_SHORTEST} plain letters",
                           "Leave it out, and a random one is made.")
        return own
    path = home / "token"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    token = path.read_text().strip()
    if path.stat().st_mode & 0o077 or len(token) < _SHORTEST:
        raise BadInput("token", str(path), "a file that its owner alone can read, with a token in it",
                       "Delete it, and a new one is made; a link with the old one then opens nothing.")
    return token


def same(given: str, token: str) -> bool:
    """Compare a given text with the token, in the same time for every wrong one."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def session_of(token: str) -> str:
    """Content of a browser's cookie, in place of the token. Another token makes it worthless."""
    return hmac.new(token.encode(), b"prunescope browser session", hashlib.sha256).hexdigest()
