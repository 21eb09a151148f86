"""Checks of a machine, one by one, each with its remedy where something is missing: `python -m core doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.request import Request, urlopen

import psutil
from rich.markup import escape

from core.cli.screen import Screen
from core.data.places import default_home, models_root, texts_root
from core.spec.base import FrozenModel

State = Literal["good", "missing", "wrong"]  # missing: something cannot be done; wrong: nothing can be relied on
ROOT = Path(__file__).resolve().parents[2]
_ROOM = 2e9  # bytes: a demo run keeps 19 MB, a model of 1.1 B parameters some 5 GB
_MEMORY = 2e9  # bytes for the demo with torch and a browser's session
_HUB = "https://huggingface.co/api/models?limit=1"
_MARKS = {"good": "[green]✓[/green]", "missing": "[yellow]○[/yellow]", "wrong": "[red]✗[/red]"}


class Check(FrozenModel):
    """One thing that was looked at: what was found, and the remedy where it is not good."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine() -> Iterator[Check]:
    """Every check, one after the other. One that cannot even be made is told as wrong, and the others go on."""
    for name, check in _CHECKS.items():
        try:
            yield check(name)
        except Exception as error:
            yield Check(name=name, state="wrong", found=f"cannot be looked at: {type(error).__name__}: {str(error)[:300]}",
                        remedy="Install anew in a fresh environment: pip install -r requirements.txt.")


def show_checks(checks: Iterator[Check]) -> list[Check]:
    """Print them as they come; returns all."""
    console, seen = Screen(), list[Check]()
    for check in checks:
        console.print(f"{_MARKS[check.state]} [bold]{check.name}[/bold]  {escape(check.found)}", highlight=False, soft_wrap=True)
        if check.remedy:
            console.print(f"  {escape(check.remedy)}", highlight=False, soft_wrap=True)
        seen.append(check)
    return seen


def _python(name: str) -> Check:
    found = f"{platform.python_version()} in {sys.prefix}"
    old = sys.version_info < (3, 11)
    return Check(name=name, state="wrong" if old else "good", found=found, remedy="Use Python 3.11 or newer." if old else "")


def _packages(name: str) -> Check:
    """The pinned packages, by requirements.txt."""
    pins = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line and line[0] != "#")
    strange: list[str] = []
    for package, pin in pins.items():
        try:
            there = importlib.metadata.version(package.partition("[")[0]).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            there = "missing"
        if there != pin.strip():
            strange.append(f"{package.partition('[')[0]} {there} (pinned: {pin.strip()})")
    if strange:
        return Check(name=name, state="wrong", found=", ".join(strange), remedy="pip install -r requirements.txt: results were proven with "
                     "the pinned versions.")
    return Check(name=name, state="good", found=f"all {len(pins)} as pinned")


def _torch(name: str) -> Check:
    import torch

    from core.linalg.products import available

    product = "oneDNN's products" if available() else "torch's own products"
    return Check(name=name, state="good", found=f"{torch.__version__}, {torch.get_num_threads()} threads, "
                 f"{torch.backends.cpu.get_cpu_capability()}, {product}")


def _gpu(name: str) -> Check:
    import torch

    if torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        found = (f"{torch.cuda.get_device_name(place)}, {torch.cuda.mem_get_info(place)[1] / 1e9:.0f} GB" for place in devices)
        return Check(name=name, state="good", found=", ".join(found))
    driver = shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
    if driver and torch.version.cuda is None:
        return Check(name=name, state="missing", found="an NVIDIA driver is here, but torch was built without CUDA",
                     remedy=f"Install the usual build: pip install --force-reinstall torch=={torch.__version__.partition('+')[0]}")
    if driver:
        return Check(name=name, state="missing", found="torch finds no device behind the NVIDIA driver",
                     remedy=f"See nvidia-smi: a driver too old for CUDA {torch.version.cuda}, or devices hidden by CUDA_VISIBLE_DEVICES.")
    return Check(name=name, state="good", found="none: all is computed on the processor")


def _compiled(name: str) -> Check:
    """The compiled kernels: one is called on a small system whose solution is known."""
    import torch

    from core.linalg.row_systems import solve_rows

    gram = torch.ones(8, 8, dtype=torch.float64) + torch.diag(torch.arange(1.0, 9.0, dtype=torch.float64))
    pruned = torch.arange(16).view(2, 8) % 3 > 0
    solved = solve_rows(gram, pruned.double() @ gram, pruned)  # by A_SS·1: the solution is 1 on S
    if torch.allclose(solved, pruned.double()):
        return Check(name=name, state="good", found=f"numba {importlib.metadata.version('numba')} compiles them")
    return Check(name=name, state="wrong", found="a compiled kernel computes something else than it should",
                 remedy="Remove numba's cached code (__pycache__/*.nbi, *.nbc) and try again; if it stays, report it with this list.")


def _memory(name: str) -> Check:
    about = psutil.virtual_memory()
    found = f"{about.available / 1e9:.1f} of {about.total / 1e9:.1f} GB free, {os.cpu_count()} processors"
    scarce = about.available < _MEMORY
    return Check(name=name, state="missing" if scarce else "good", found=found,
                 remedy="End other programs: the demo takes up to 2 GB." if scarce else "")


def _home(name: str) -> Check:
    home = default_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"x")
    except OSError as error:
        return Check(name=name, state="wrong", found=f"{home}: {error.strerror}",
                     remedy="Set PRUNESCOPE_HOME to a folder that you may write to; all that is computed is kept there.")
    free = shutil.disk_usage(home).free
    return Check(name=name, state="missing" if free < _ROOM else "good", found=f"{home}, {free / 1e9:.1f} GB free",
                 remedy="Little room: remove runs on the page Runs, or set PRUNESCOPE_HOME to another disk." if free < _ROOM else "")


def _folders(name: str) -> Check:
    from core.models.sources import list_models, unusable_models

    there, strange = list_models(), unusable_models()
    found = f"{len(there)} models (folder {models_root()}), texts in {texts_root()}"
    if strange:
        return Check(name=name, state="missing", found=f"{found}; {len(strange)} folders cannot be used",
                     remedy=f"{strange[0].name}: {strange[0].reason} `python -m core models` lists all.")
    return Check(name=name, state="good", found=found)


def _hub(name: str) -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return Check(name=name, state="missing", found="switched off by HF_HUB_OFFLINE", remedy="Models and texts on disk work without it.")
    try:
        with urlopen(Request(_HUB, headers={"User-Agent": "prunescope-doctor"}), timeout=5) as answer:
            return Check(name=name, state="good", found=f"huggingface.co answers ({answer.status})")
    except OSError as error:
        return Check(name=name, state="missing", found=f"huggingface.co does not answer: {str(error)[:120]}",
                     remedy="Demo, folders and files on disk work without it; behind a proxy set HTTPS_PROXY.")


def _browser(name: str) -> Check:
    there = shutil.which("chromium") or shutil.which("chromium-browser")
    if there:
        return Check(name=name, state="good", found=f"{there} for the browser tests")
    return Check(name=name, state="missing", found="no chromium: only the browser tests need it", remedy="Debian: apt-get install chromium")


_CHECKS: dict[str, Callable[[str], Check]] = {
    "Python": _python, "Packages": _packages, "torch": _torch, "GPU": _gpu, "Compiled kernels": _compiled, "Memory": _memory,
    "Home": _home, "Models and texts": _folders, "Hub": _hub, "Chromium": _browser,
}
