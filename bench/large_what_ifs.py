"""What-ifs on layers of up to 4096×11008, from the key that moves a control to the answer on the screen: `python -m bench.large_what_ifs`.

A real browser, server and worker, which may use 6 GB: a random LLaMA of two blocks in bfloat16 shards is then read layer by layer. Its
Gram matrices are collected once, by the button of the page (minutes); `--folder` keeps model and home for the next time. The sparsity is
moved by a percent with the arrow key, so each answer is new: `first` is the time to it, an estimate or not, `exact` the time until all rows
have been solved. Words of the command line choose among the cases. Prints only.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

from app.workers.cluster import stop_cluster
from bench.streaming import write_model
from tests.browser.conftest import ARGUMENTS, CHROMIUM, Server

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32}
WINDOWS, LENGTH, VOCABULARY, ROOM = 12, 1024, 32000, 6 << 30
LAYERS = {"4096×4096": "self_attn.q_proj", "11008×4096": "mlp.up_proj", "4096×11008": "mlp.down_proj"}
_LAYERS_FIRST = ("p => document.querySelector('.ps-about')?.innerText.includes(`${p} %`)"
                 " && document.querySelector('.ps-finding')?.innerText.includes('In 1.') && !document.querySelector('.ps-stale')")
_LAYERS_EXACT = "() => !document.body.innerText.includes('≈ estimate') && !document.body.innerText.includes('on all rows …')"
_MASKS = ("p => document.querySelector('.ps-about')?.innerText.includes(`${p} %`)"
          " && document.querySelector('.st-key-masks .js-plotly-plot') && !document.querySelector('.st-key-old-answer-masks')")
_ROWS = "() => document.querySelector('.st-key-outlier-rows .js-plotly-plot') && !document.querySelector('.st-key-old-outlier-rows')"
PAGES = {"layers": (_LAYERS_FIRST, _LAYERS_EXACT), "masks": (_MASKS, None), "outliers": (_ROWS, None)}
METHODS = ("magnitude", "wanda", "dsnot", "sparsegpt", "thanos")


def collect(page: Page, url: str) -> None:
    """Have the Gram matrices collected by the button, if they are not there."""
    page.goto(url)
    button = page.get_by_role("button", name="Collect")
    button.or_(page.locator(".js-plotly-plot")).first.wait_for(timeout=300_000)
    if not button.count():
        return
    started = time.perf_counter()
    button.click()
    page.wait_for_selector(".js-plotly-plot", timeout=900_000)
    print(f"Gram matrices collected in {time.perf_counter() - started:.0f} s", flush=True)


def moves(page: Page, first: str, exact: str | None, times: int, patience: float) -> tuple[list[float], list[float]]:
    """Seconds of each move of p by a percent, to the first answer and to the exact one."""
    page.wait_for_function(first, arg=40, timeout=1000 * patience)
    slider = page.get_by_role("slider", name="Sparsity p")
    found, settled = list[float](), list[float]()
    for step in range(1, times + 1):
        page.wait_for_timeout(3000)
        slider.focus()
        started = time.perf_counter()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        page.wait_for_function(first, arg=40 + step, polling="raf", timeout=1000 * patience)
        found.append(time.perf_counter() - started)
        if exact:
            page.wait_for_function(exact, polling=100, timeout=1000 * patience)
            settled.append(time.perf_counter() - started)
    return found, settled


def main() -> None:
    """Print seconds of every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--patience", type=float, default=300, help="seconds that a case may take")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prunescope-bench-", ignore_cleanup_errors=True) as temporary:
        folder = asked.folder or Path(temporary)
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        if not (folder / "models" / "wide").exists():
            write_model(folder / "models" / "wide", 2, SIZES, VOCABULARY)
        texts = folder / "texts"
        texts.mkdir(exist_ok=True)
        np.save(texts / "calibration.npy", np.random.default_rng(1).integers(3, VOCABULARY, (WINDOWS, LENGTH)))
        np.save(texts / "evaluation.npy", np.random.default_rng(2).integers(3, VOCABULARY, (2, LENGTH)))
        os.environ |= {"PRUNESCOPE_MODELS": str(folder / "models"), "PRUNESCOPE_TEXTS": str(texts)}
        resource.setrlimit(resource.RLIMIT_DATA, (ROOM, resource.RLIM_INFINITY))
        server = Server(ROOT, home)
        server.start()
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            measure(server.url, asked)
        finally:
            server.stop()
            stop_cluster(home)


def measure(url: str, asked: argparse.Namespace) -> None:
    """All chosen cases in one browser."""
    words = f"&model=wide&calibration=windows:calibration.npy&windows={WINDOWS}&evaluation=windows:evaluation.npy"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        collect(page, f"{url}/layers?method=wanda&pattern=0.4{words}")
        print(f"{'':38}{'first':>9}{'exact':>9}   median seconds of {asked.times} moves", flush=True)
        for name, place, method, shape in ((f"{place}, {method}, {shape}", place, method, shape)
                                           for place in PAGES for method in METHODS for shape in LAYERS):
            if not all(word in name for word in asked.words):
                continue
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(f"{url}/{place}?method={method}&pattern=0.4{words}&layer=model.layers.1.{LAYERS[shape]}")
            try:
                first, exact = PAGES[place]
                found, settled = moves(page, first, exact, asked.times, asked.patience)
            except TooLate:
                print(f"{name:38} not within {asked.patience:.0f} s", flush=True)
            else:
                behind = f"{statistics.median(settled):9.1f}" if settled else ""
                print(f"{name:38}{statistics.median(found):9.1f}{behind}", flush=True)
            page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
