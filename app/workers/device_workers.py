"""The workers that compute runs, as their scheduler knows them: who there is, and the memory each may use. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.workers.lanes import TERMINATE

if TYPE_CHECKING:
    from distributed import Client


def device_workers(client: Client) -> dict[str, int | None]:
    """Their addresses, with their memory limits in bytes (None: without a limit)."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return {address: worker["memory_limit"] or None for address, worker in workers.items() if worker["resources"].get("device")}


def run_memory(client: Client) -> int | None:
    """Bytes that a run may use on the largest of them; None where there is none, or one without a limit."""
    limits = tuple(device_workers(client).values())
    known = [limit for limit in limits if limit is not None]
    return round(max(known) * TERMINATE) if known and len(known) == len(limits) else None
