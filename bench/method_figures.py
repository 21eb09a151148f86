"""The figures of docs/methods: two layers of the demo model under every method, the page's own in bold. Needs chromium and playwright.

    python -m bench.method_figures [--threads 2]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from playwright.sync_api import Page, sync_playwright
from plotly.offline import get_plotlyjs

from app.layers.charts.method_bars import Bar, method_bars
from app.shared.style import INKS
from core.models.open_model import open_model
from core.records import LayerRecord
from core.spec import METHOD_LABELS, METHODS, Calibration, Evaluation, RunSpec, Unstructured, make_method
from core.whatif.session import Session

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "methods"
LAYERS = {"model.layers.2.self_attn.o_proj": "2.self_attn.o_proj", "model.layers.3.mlp.gate_proj": "3.mlp.gate_proj"}
PATTERN = Unstructured(sparsity=0.5)
WIDTH, HEIGHT = 560, 420
CHROMIUM = Path("/usr/bin/chromium")


def records(threads: int) -> tuple[dict[str, dict[str, LayerRecord]], str]:
    """layer -> method -> record, from the Gram matrices of the dense model; and which calibration."""
    torch.set_num_threads(threads)
    asked = RunSpec(calibration=Calibration(windows=128, length=256), evaluation=Evaluation(windows=1))
    opened = open_model(asked, torch.device("cpu"))
    session = Session(opened)
    found: dict[str, dict[str, LayerRecord]] = {}
    for layer in LAYERS:
        found[layer] = {}
        for name in METHODS:
            solution = session.solve(layer, asked.model_copy(update={"method": make_method(name), "pattern": PATTERN}))
            found[layer][name] = session.record(layer, solution)
    return found, opened.calibration.description


def draw(page: Page, found: dict[str, LayerRecord], method: str, words: str, file: Path) -> None:
    """One layer, sorted by error, as SVG."""
    order = sorted(found, key=lambda name: -found[name].relative_error)
    figure = method_bars([Bar(method=name, label=METHOD_LABELS[name], record=found[name], present=name == method) for name in order],
                         height=HEIGHT)
    figure.update_layout(width=WIDTH, paper_bgcolor=INKS["light"].paper, title_text=words, margin={"l": 8, "r": 12, "t": 64, "b": 8})
    text = page.evaluate("figure => Plotly.toImage(figure, {format: 'svg', width: figure.layout.width, height: figure.layout.height})",
                         json.loads(figure.to_json()))
    file.write_text(page.evaluate("address => fetch(address).then(answer => answer.text())", text))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=2)
    found, calibration = records(options.parse_args().threads)
    print(f"Gram matrices of the dense demo model: {calibration}; 50 % of the weights")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<html><body></body></html>")
        page.add_script_tag(content=get_plotlyjs())
        for method in METHODS:
            for number, (layer, words) in enumerate(LAYERS.items(), 1):
                file = FOLDER / f"{method}-{number}.svg"
                record = found[layer][method]
                draw(page, found[layer], method, f"{words}, {record.shape[0]}×{record.shape[1]}, 50 %", file)
                print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB, relative error {record.relative_error:.3g}")
        browser.close()


if __name__ == "__main__":
    main()
