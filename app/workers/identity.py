"""Identity of a worker: its host and home, and the versions that decide what it computes; told to the scheduler when it connects. No torch.

A worker offers the resource `prunescope-VERSION` beside `device`, and a job asks for both: a worker of other code or another torch, whose
numbers would differ, and one that was started without the preload of app/workers/startup.py, never take one.
"""

from __future__ import annotations

import platform
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cache.keys import content_key, files_key
from core.data.places import default_home
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from distributed import Client, Worker

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "numba", "datasets", "distributed")
_EXTRA = "prunescope"  # under this name in what the scheduler knows of a worker


class Identity(FrozenModel):
    """Declaration of a worker. `store` names the folder of its store as the kernel knows it: equal for processes that share it."""

    host: str
    home: str
    store: str
    code: str
    packages: dict[str, str]

    @property
    def version(self) -> str:
        """Digest of all that may move numbers, or what processes say to each other."""
        return content_key("version", code=self.code, packages=self.packages)[:16]

    def differences(self, other: Identity) -> str:
        """Sentence about a worker `other` whose version differs from this process's."""
        packages = [f"{name} {other.packages.get(name, 'none')} there, {found} here"
                    for name, found in self.packages.items() if other.packages.get(name) != found]
        code = [] if self.code == other.code else [f"other code of PruneScope ({other.code[:8]} there, {self.code[:8]} here)"]
        return "; ".join(code + packages)


@lru_cache(maxsize=1)
def code_files() -> str:
    """Digest of the code of this process and the workers it starts. Read once: files that change later are the next process's."""
    return files_key([*(ROOT / "core").rglob("*.py"), *(ROOT / "cache").rglob("*.py"), *(ROOT / "app" / "workers").rglob("*.py"),
                      *(ROOT / "app").glob("*/questions.py"), *(ROOT / "app" / "shared" / "questions").glob("*.py")])


def own_identity(home: Path | None = None) -> Identity:
    """The identity of this process."""
    home = home or default_home()
    packages = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"} | {name: _public(name) for name in _PACKAGES}
    return Identity(host=platform.node() or "localhost", home=str(home), store=store_token(home), code=code_files(), packages=packages)


def resource(version: str) -> str:
    """Name of the resource that workers of a version offer."""
    return f"prunescope-{version}"


def store_token(home: Path) -> str:
    """Name of the folder of a home's store that is equal for two processes only if they see the same folder through the same kernel, so
    that files and locks of one hold for the other: boot, device and inode. Empty where there is none yet."""
    try:
        stat = (home / "store").stat()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return f"{boot}:{stat.st_dev}:{stat.st_ino}"


def declare(worker: Worker) -> None:
    """Have a worker that is about to connect say who it is, and offer the resource of its version."""
    own = own_identity()
    worker.startup_information[_EXTRA] = lambda _: own.model_dump(mode="json")
    for resources in (worker.state.total_resources, worker.state.available_resources):
        resources[resource(own.version)] = 1.0


def declared(worker: Any) -> Identity | None:
    """The identity in a scheduler's description of a worker; None for one that declared nothing."""
    try:
        return Identity.model_validate(worker[_EXTRA])
    except (KeyError, ValidationError):
        return None


def refusals(client: Client, own: Identity) -> tuple[str, ...]:
    """Sentences about connected workers that offer to compute runs and take none of this process's, each with its reason."""
    found: list[str] = []
    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        if not worker["resources"].get("device"):
            continue
        other = declared(worker)
        if other is None:
            found.append(f"The worker {worker['name']} at {address} does not say what it is. Start it with `python -m app.workers worker`, "
                         "or with `--preload app.workers.startup`.")
        elif other.version != own.version:
            found.append(f"The worker {worker['name']} on {other.host} takes no runs from here, since its numbers could differ: "
                         f"{own.differences(other)}. Install the same versions on both.")
    return tuple(found)


def _public(package: str) -> str:
    """Version without its local part: builds of torch for CPU and GPU may work side by side."""
    try:
        return version_of(package).partition("+")[0]
    except PackageNotFoundError:
        return "none"
