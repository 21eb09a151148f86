"""How quick the pages are, in a real browser on a warm server: `python -m bench.ui` (about a minute). Prints; asserts nothing.

First paint: from the request to controls, numbers and chart on the screen, each time with an empty browser cache. Server time: from the
first message over a new WebSocket to the end of the page's script, as a program sees it that draws nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Origin, Subprotocol
from websockets.sync.client import connect

from app.report import report as html_report
from app.workers.cluster import stop_cluster
from app.workers.jobs import Jobs
from cache.records import RunRecord
from cache.store import Store
from core import prune
from core.records import Finished, RunResult
from core.spec import Calibration, Evaluation, RunSpec
from tests.browser.conftest import ARGUMENTS, CHROMIUM, Server

ROOT = Path(__file__).resolve().parents[1]
TIMES = 7


def stored(home: Path, runs: int) -> str:
    """A store with one real result and many more records; returns the key of the result."""
    spec = RunSpec(calibration=Calibration(windows=8, length=64), evaluation=Evaluation(windows=8, length=64))
    (result,) = (event.result for event in prune(spec) if isinstance(event, Finished))
    return fill(home, result, runs)


def fill(home: Path, result: RunResult, runs: int) -> str:
    store = Store(home)
    jobs = Jobs(store)
    key = jobs.key(result.spec)
    store.put_result(key, result)
    store.put_record(RunRecord(key=key, spec=result.spec, state="queued", submitted=time.time()).finished(result))
    for number in range(runs):
        spec = result.spec.model_copy(update={"calibration": Calibration(seed=number + 1)})
        other = RunRecord(key=f"{number:064x}", spec=spec, state="queued", submitted=time.time() - number)
        store.put_record(other.finished(result))
    store.close()
    return key


def visit(browser: Browser, url: str, seen: tuple[str, ...]) -> tuple[float, ...]:
    """Seconds to each selector in a new browser context, with nothing in its cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url)
    moments = []
    for selector in seen:
        page.wait_for_selector(selector)
        moments.append(time.perf_counter() - start)
    context.close()
    return tuple(moments)


def serve(port: int, query: str, page: str = "") -> tuple[float]:
    """Seconds from asking for a page over a new WebSocket, as a browser does, to the end of its script."""
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", origin=Origin(f"http://127.0.0.1:{port}"), max_size=None,
                 subprotocols=[Subprotocol("streamlit")]) as socket:
        start = time.perf_counter()
        socket.send(BackMsg(rerun_script=ClientState(query_string=query, page_name=page)).SerializeToString())
        while ForwardMsg.FromString(bytes(socket.recv(decode=False))).WhichOneof("type") != "script_finished":
            pass
        return (time.perf_counter() - start,)


def choose(browser: Browser, url: str) -> tuple[float]:
    """Seconds from the press of the button to the table of all runs."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".js-plotly-plot")
    button = page.get_by_role("button", name="Choose runs")
    start = time.perf_counter()
    button.click()
    page.wait_for_selector("[role=dialog] canvas")
    passed = time.perf_counter() - start
    context.close()
    return (passed,)


def make_report(home: Path, key: str) -> tuple[float]:
    """Seconds to make the HTML of two runs side by side."""
    store = Store(home)
    result = store.result(key)
    store.close()
    assert result is not None
    start = time.perf_counter()
    html_report([result, result.model_copy(update={"spec": RunSpec()})])
    return (time.perf_counter() - start,)


def report(name: str, once: Callable[[], tuple[float, ...]], columns: tuple[str, ...]) -> None:
    """The median and the worst of a few visits; the first, cold one apart."""
    cold, *warm = [once() for _ in range(TIMES + 1)]
    for place, column in enumerate(columns):
        values = sorted(visit[place] for visit in warm)
        middle = statistics.median(values)
        print(f"{name:32}{column:10}median {middle:6.2f} s   worst {values[-1]:6.2f} s   first, cold {cold[place]:6.2f} s")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="prunescope-bench-", ignore_cleanup_errors=True) as home:
        measure(Path(home))


def measure(home: Path) -> None:
    """All of it, on a server of its own."""
    key = stored(home, 500)
    server = Server(ROOT, home)
    server.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
            sight = ("controls", "numbers", "chart")
            seen = ("[data-testid=stSidebar] .stButton", ".st-key-answer .ps-value", ".js-plotly-plot .scatterlayer .trace")
            report("Explore, first paint", lambda: visit(browser, f"{server.url}/", seen), sight)
            report("Explore, stored result by key", lambda: visit(browser, f"{server.url}/?run={key}", seen), sight)
            report("Explore, stored result by key", lambda: serve(server.port, f"run={key}"), ("server",))
            report("Runs, 501 runs", lambda: visit(browser, f"{server.url}/runs", (".ps-row:not(.ps-head)",)), ("rows",))
            report("Runs, 501 runs", lambda: serve(server.port, "", "runs"), ("server",))
            two = f"runs={key},gallery:thanos-0.5"
            seen = (".ps-table", ".js-plotly-plot .scatterlayer .trace:last-child")
            report("Compare, 501 runs", lambda: visit(browser, f"{server.url}/compare?{two}", seen), ("numbers", "charts"))
            report("Compare, 501 runs", lambda: serve(server.port, two, "compare"), ("server",))
            report("Compare, 501 runs", lambda: choose(browser, f"{server.url}/compare?{two}"), ("to choose",))
            report("Report of two runs", lambda: make_report(home, key), ("made",))
            browser.close()
    finally:
        server.stop()
        stop_cluster(home)


if __name__ == "__main__":
    main()
