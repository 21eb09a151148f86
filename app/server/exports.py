"""Download of a pruned model's zip: a file streamed from disk, in ranges where a browser resumes. Behind the gate as every address is.

    GET /exports/KEY/TICKET/NAME.zip      200, 206 for a range; 404 for a ticket that is not the request's, and for a zip that is gone
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from cache.store import Store
from core.data.places import default_home
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from starlette.requests import Request

_TIDY_SECONDS = 3600.0
_GONE = "There is no such file any more: it is kept for a day. Ask for it again on the page of the run."


async def download(request: Request) -> Response:
    """Send the zip to those who show its ticket."""
    key, ticket = (str(request.path_params[name]) for name in ("key", "ticket"))
    found = await run_in_threadpool(lambda: _store().exports.find(key, ticket))
    if found is None:
        return PlainTextResponse(_GONE, status_code=404, headers={"cache-control": "no-store"})
    path, export = found
    return FileResponse(path, media_type="application/zip", filename=f"{export.name}.zip", headers={"cache-control": "private, no-cache"})


def routes() -> list[Route]:
    """Routes of the web server beside Streamlit's own."""
    return [Route("/exports/{key}/{ticket}/{name}", download, methods=["GET"])]


def keep_tidy() -> None:
    """Remove zip files that are too old, now and every hour, on a thread of its own."""

    def tidy() -> None:
        while True:
            try:
                _store().exports.tidy()
            except (OSError, PruneError):
                logging.getLogger(__name__).exception("old exports were not removed")
            time.sleep(_TIDY_SECONDS)

    threading.Thread(target=tidy, daemon=True, name="tidy-exports").start()


@lru_cache(maxsize=1)
def _store() -> Store:
    """The store, without the workers that a page starts."""
    return Store(default_home())
