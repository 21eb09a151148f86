"""Inputs of what was asked for, compared with those that are here when a worker begins. No torch."""

from __future__ import annotations

from cache.keys import run_key
from core.records import Revisions
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import PruneError


def require_unchanged(spec: RunSpec, key: str) -> Revisions:
    """The revisions of a spec's model and texts as they are now. Raises PruneError unless they, with the spec, still make this key."""
    found = revisions(spec)
    if run_key(spec, found) != key:
        raise PruneError("The model or a text has changed since this was asked for. Ask for it again.")
    return found
