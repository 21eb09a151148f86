"""The workers that compute this process's runs, as their scheduler knows them: who there is, and the memory each may use. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.workers.identity import own_identity, resource
from app.workers.lanes import TERMINATE

if TYPE_CHECKING:
    from distributed import Client


def device_workers(client: Client) -> dict[str, int | None]:
    """Their addresses, with their memory limits in bytes (None: without a limit). Workers of another version are none of them."""
    workers, wanted = client.scheduler_info(n_workers=-1)["workers"], needed_resources()
    return {address: worker["memory_limit"] or None for address, worker in workers.items()
            if all(worker["resources"].get(name, 0.0) >= count for name, count in wanted.items())}


def needed_resources() -> dict[str, float]:
    """Resources that a job of this process asks for: a device, and the same version of all that numbers depend on."""
    return {"device": 1.0, resource(own_identity().version): 1.0}


def run_memory(client: Client) -> int | None:
    """Bytes that a run may use on the largest of them; None where there is none, or one without a limit."""
    limits = tuple(device_workers(client).values())
    known = [limit for limit in limits if limit is not None]
    return round(max(known) * TERMINATE) if known and len(known) == len(limits) else None
