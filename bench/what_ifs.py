"""How long a what-if takes, from the key that moves a control to the answer on the screen: `python -m bench.what_ifs` (some minutes).

A real browser, server and worker, whose session of the demo model is open, as it is some seconds after the server started. The sparsity is
moved by a percent with the arrow key, so each answer is new. Budgets: a preview of the whole model 1 s, one layer 0.3 s. Prints only.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from app.workers.cluster import stop_cluster
from core.spec import METHODS
from tests.browser.conftest import ARGUMENTS, CHROMIUM, Server

ROOT = Path(__file__).resolve().parents[1]
TIMES = 7
LAYER = "model.layers.3.mlp.down_proj"
CASES = {  # name: (page, what holds once the answer to p is there)
    **{f"Explore, preview, {method}": (
        f"/?method={method}&pattern=0.4",
        "p => document.querySelector('.st-key-preview .ps-about')?.innerText.includes(`${p} %`)")
       for method in METHODS},
    **{f"Explore, preview of columns, {method}": (
        f"/?method={method}&pattern=columns:0.4",
        "p => document.querySelector('.st-key-preview .ps-about')?.innerText.includes(`${p} %`)")
       for method, spec in METHODS.items() if "structured" not in spec.refuses},
    **{f"Explore, preview shared out, {method}": (
        f"/?method={method}&pattern=0.4&allocation=marginal",
        "p => document.querySelector('.st-key-preview .ps-about')?.innerText.includes(`${p} %`)")
       for method in ("wanda", "thanos", "frontier")},
    **{f"Layers, one layer, {method}": (
        f"/layers?method={method}&pattern=0.4&layer={LAYER}",
        "p => document.querySelector('.ps-about')?.innerText.includes(`${p} %`)"
        " && document.querySelector('.ps-finding')?.innerText.includes('In 3.mlp')")
       for method in ("wanda", "sparsegpt", "thanos")},
    "Masks, one layer, thanos": (
        f"/masks?pattern=0.4&layer={LAYER}",
        "p => document.querySelector('.ps-about')?.innerText.includes(`${p} %`)"
        " && document.querySelector('.st-key-masks .js-plotly-plot')"),
}


def moves(page: Page, there: str) -> list[float]:
    """Seconds of each move of p by one percent."""
    page.wait_for_function(there, arg=40, timeout=120_000)
    page.wait_for_timeout(3000)
    slider = page.get_by_role("slider", name="Sparsity p")
    slider.focus()
    seconds: list[float] = []
    for step in range(1, TIMES + 1):
        start = time.perf_counter()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(there, arg=40 + step, polling="raf", timeout=120_000)
        seconds.append(time.perf_counter() - start)
        page.wait_for_timeout(1500)  # what the page asks for besides is answered
    return seconds


def measure(browser: Browser, url: str) -> None:
    print(f"{'':34}{'median':>9}{'least':>9}{'most':>9}   seconds over {TIMES} moves")
    chosen = [name for name in CASES if all(word in name for word in sys.argv[1:])]
    for name in chosen:
        path, there = CASES[name]
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(url + path)
        times = moves(page, there)
        print(f"{name:34}{statistics.median(times):9.2f}{min(times):9.2f}{max(times):9.2f}", flush=True)
        context.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="prunescope-bench-", ignore_cleanup_errors=True) as home:
        server = Server(ROOT, Path(home))
        server.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
                measure(browser, server.url)
                browser.close()
        finally:
            server.stop()
            stop_cluster(Path(home))


if __name__ == "__main__":
    main()
