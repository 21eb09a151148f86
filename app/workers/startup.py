"""Start of a worker process: Dask loads this module in every one (`--preload`)."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from app.workers.away.carry import clear_left
from app.workers.identity import declare
from app.workers.logs import configure
from app.workers.process import import_core, log, open_store, use_all_cores
from app.workers.sessions import open_first
from cache import Store
from core.spec import RunSpec

if TYPE_CHECKING:
    from distributed import Worker


def dask_setup(worker: Worker) -> None:
    """Called by Dask in each new worker process: import torch while nobody waits yet; for what-ifs, open the demo. Runs leave the
    cores to what a page waits for."""
    configure()
    sys.setswitchinterval(5e-4)  # seconds: several threads call short kernels, and each comes back to an interpreter that another holds
    declare(worker)
    logging.getLogger("distributed.worker").addFilter(lambda record: "out-of-band" not in record.getMessage())  # couriers' calls
    what_ifs = any(name.startswith("interactive") for name in worker.state.total_resources)
    if not what_ifs:
        os.nice(15)
        clear_left()
    if not os.environ.get("PRUNESCOPE_COLD"):  # a process of which nobody may ever ask anything
        threading.Thread(target=_warm, args=(what_ifs,), name="prunescope-warm", daemon=True).start()


def _warm(what_ifs: bool) -> None:
    try:
        if what_ifs:
            open_first(RunSpec())
            see_rate(open_store())
        else:
            import_core()
    except Exception:
        log.exception("a worker could not be made ready")


def see_rate(store: Store) -> None:
    """Measure the device's rate, now that little else is computed: plans asked for at the start were made while all cores were busy."""
    use_all_cores()
    from core.models.cost import matrix_rate
    from core.models.device import choose_device, device_name

    device = choose_device("auto")
    store.put_rate(device_name(device), matrix_rate(device))
