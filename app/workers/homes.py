"""Names of a home among others that one scheduler serves: of its queue, and of the resources of its own worker. No torch."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from app.workers.launch import cluster_folder


def home_id(home: Path) -> str:
    """Name of this home on this machine, 12 letters, for resources that only its own workers offer."""
    file = cluster_folder(home) / "id"
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    return hashlib.sha256(f"{file.read_text()} {home.absolute()}".encode()).hexdigest()[:12]


def seat(home: Path) -> str:
    """Name of the scheduler that computes this home's runs; its successor has the same."""
    return os.environ.get("PRUNESCOPE_SCHEDULER") or f"local-{home_id(home)}"


def own_resource(home: Path, name: str) -> str:
    """Name of a resource, `interactive` or `quick`, that a worker offers which reads this home: on a scheduler of one's own, where workers
    of other homes may be, it bears the home's name."""
    return f"{name}-{home_id(home)}" if os.environ.get("PRUNESCOPE_SCHEDULER") else name
