"""Health of this installation, for people and for programs.

    GET /health          a page                        GET /health.json     the same as JSON
    GET /_stcore/health  "ok" while the web server answers: open to everybody, and all that an unauthenticated probe sees

Status 503 where nothing can be computed or kept, else 200. Behind the token as every address is; where people sign in instead, only
`state` is told, and the rest to whoever sends the token (Authorization: Bearer TOKEN).
"""

from __future__ import annotations

import threading
import time
from html import escape
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.server.access_token import read_token, same
from app.shared import about, access, numbers
from app.shared.findings import wording
from app.workers.health import Health, examine
from cache.store import Store
from core.data.places import default_home
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from starlette.requests import Request

_SECONDS = 2.0  # for which a look is believed: many probes are one look
_guard = threading.Lock()
_last: list[tuple[float, Health]] = []
_NO_STORE = {"cache-control": "no-store"}


def routes() -> list[Route]:
    """Routes of the web server beside Streamlit's own."""
    return [Route("/health", _page, methods=["GET"]), Route("/health.json", _json, methods=["GET"])]


async def _json(request: Request) -> Response:
    health = await run_in_threadpool(look)
    told = health.model_dump(mode="json") if _may_see(request) else {"state": health.state}
    return JSONResponse(told, status_code=_status(health), headers=_NO_STORE)


async def _page(request: Request) -> Response:
    health = await run_in_threadpool(look)
    return HTMLResponse(page(health, whole=_may_see(request)), status_code=_status(health), headers=_NO_STORE)


def look() -> Health:
    """The health of now, at most two seconds old."""
    with _guard:
        if not _last or time.monotonic() > _last[0][0] + _SECONDS:
            _last[:] = [(time.monotonic(), _examine())]
        return _last[0][1]


def _examine() -> Health:
    home = default_home()
    try:
        store = Store(home)
    except (PruneError, OSError) as error:
        return examine(home, None, version=about.version(), reason=str(error))
    try:
        return examine(home, store, version=about.version())
    finally:
        store.close()


def _status(health: Health) -> int:
    return 503 if health.state == "down" else 200


def _may_see(request: Request) -> bool:
    """True for everybody whom the door has let in; where people sign in, which these addresses do not see, for holders of the token."""
    if not access.login_configured():
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        return scheme.lower() in ("bearer", "token") and same(given.strip(), read_token(default_home()))
    except PruneError:
        return False


def page(health: Health, *, whole: bool) -> str:
    """The health as HTML without scripts. Not `whole`: the state alone."""
    title = {"ok": "All is well", "degraded": "It works, with problems", "down": "Nothing can be computed"}[health.state]
    body = "".join(f"<p>{escape(problem)}</p>" for problem in health.problems)
    tables = "".join((
        _table("Scheduler", {"address": health.scheduler or "not started yet; the first page starts it"}),
        *(_table(f"Worker {worker.name}", {
            "computes": ", ".join(worker.resources), "threads": worker.threads, "doing": ", ".join(worker.tasks) or "nothing",
            "memory": numbers.size(worker.memory) + (f" of {numbers.size(worker.memory_limit)}" if worker.memory_limit else ""),
            "heard of": f"{worker.seen:.0f} s ago"}) for worker in health.workers),
        _table("Device", {"device": health.device}),
        _table("Store", health.store), _table("Queue", {name: value for name, value in health.queue.items() if name != "jobs"}),
        _table("Versions", health.versions)))
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Health · PruneScope</title><style>:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 sans-serif; max-width: 44em; margin: 2em auto; padding: 0 1em; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.4em; }} h2 {{ font-size: 1.05em; margin: 1.2em 0 .2em; }} td {{ padding: .1em 1em .1em 0; vertical-align: top; }}
td:first-child {{ opacity: .75; white-space: nowrap; }}</style><body><h1>{title}</h1>{body + tables if whole else ""}
<p><a href="health.json">The same as JSON</a> · <a href="./">PruneScope</a></p></body></html>"""


def _table(title: str, rows: dict[str, object] | dict[str, str]) -> str:
    cells = "".join(f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{escape(_text(name, value))}</td></tr>"
                    for name, value in rows.items())
    return f"<h2>{escape(title)}</h2><table>{cells}</table>"


def _text(name: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{wording.state(state)} {count}" for state, count in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, int) and name.endswith("_bytes"):
        return numbers.size(value)
    if isinstance(value, float):  # a moment
        return numbers.moment(value)
    return "no" if value is None else str(value)
