"""The house of DESIGN.md §2: which folder may import which, and what never appears in the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("core", "cache", "app", "pages")
HOUSE = {*LAYERS, "tests", "bench"}
MAY_IMPORT = {"core": {"core"}, "cache": {"cache", "core"}, "app": {"app", "cache", "core"}, "pages": {"app"}}
NOT_IN_CORE = {"streamlit", "dask", "distributed", "diskcache", "plotly"}
TORCH_FREE = ("core", "core.spec", "core.records", "core.spec.patterns", "core.spec.errors", "core.models.sources", "core.data.corpus",
              "core.records.previews", "core.records.overlaps", "core.records.outlier_rows", "core.records.lessons", "app.workers.jobs",
              "app.masks.questions", "app.layers.questions", "app.learn.questions", "app.shared.questions.outliers")
MOST_LINES = 300
MUST_BE_FALSE = ("trust_remote_code", "allow_pickle")


def modules(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


ALL = [path for layer in LAYERS for path in modules(layer)]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_module = pytest.mark.parametrize("path", ALL, ids=label)


def imported(tree: ast.AST, package: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Dotted names that a module imports, wherever in it, with their lines. Relative imports are made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *(node.module.split(".") if node.module else [])])
            yield from ((f"{base}.{alias.name}" if base else alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__") and node.args:
            yield str(getattr(node.args[0], "value", "")), node.lineno


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def top_names(path: Path) -> dict[str, int]:
    package = path.relative_to(ROOT).parts[:-1]
    return {name.split(".")[0]: line for name, line in imported(parsed(path), package)}


def forbidden_arrows(layer: str, names: dict[str, int]) -> list[str]:
    """The imports of one module of a layer that no arrow of the house allows."""
    wrong = [name for name in names if name in HOUSE and name not in MAY_IMPORT[layer]]
    if layer == "core":
        wrong += [name for name in names if name in NOT_IN_CORE]
    if layer == "pages":
        wrong += [name for name in names if name not in {"app", "streamlit", "__future__"} | sys.stdlib_module_names]
    return wrong


def forbidden_code(tree: ast.AST) -> list[str]:
    """pickle, torch.load, and trust_remote_code or allow_pickle with anything but a literal False; with their lines."""
    wrong = [f"{line}: import {name}" for name, line in imported(tree)
             if name.split(".")[0] in ("pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _dotted(node) == "torch.load":
            wrong.append(f"{node.lineno}: torch.load")
        if isinstance(node, ast.ImportFrom) and node.module == "torch" and any(alias.name == "load" for alias in node.names):
            wrong.append(f"{node.lineno}: from torch import load")
        if isinstance(node, ast.keyword) and node.arg in MUST_BE_FALSE and getattr(node.value, "value", None) is not False:
            wrong.append(f"{node.value.lineno}: {node.arg}")
    return wrong


def test_there_is_a_core():
    assert modules("core")


@every_module
def test_arrows_of_the_house(path):
    layer = path.relative_to(ROOT).parts[0]
    assert not forbidden_arrows(layer, top_names(path)), f"{label(path)} may import only {sorted(MAY_IMPORT[layer])} of the house"


@every_module
def test_no_pickle_no_torch_load_no_remote_code(path):
    assert not forbidden_code(parsed(path))


@every_module
def test_modules_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < MOST_LINES


@pytest.mark.parametrize("path", modules("pages"), ids=label)
def test_pages_leave_session_state_to_app_ui(path):
    states = [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute) and node.attr == "session_state"]
    assert not states


@pytest.mark.parametrize("path", modules("core"), ids=label)
def test_core_does_not_print(path):
    if path.name in ("__main__.py", "train.py"):
        return
    assert not [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.Call) and _dotted(node.func) == "print"]


def test_nothing_in_app_hides_a_folder_of_the_house():
    """`streamlit run app/main.py` puts app/ first on sys.path: a module app/core.py would be imported instead of core/."""
    assert not [path.name for path in (ROOT / "app").iterdir() if path.stem in HOUSE]


@pytest.mark.parametrize("module", TORCH_FREE)
def test_no_torch_where_the_web_server_looks(module):
    if module != "core" and not (ROOT / f"{module.replace('.', '/')}.py").exists():
        pytest.fail(f"{module} is not there: DESIGN.md promises it without torch")
    heavy = "sorted({'torch', 'transformers', 'datasets'} & set(sys.modules))"
    code = f"import sys, {module}; sys.exit(', '.join({heavy}) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{module} imports {done.stderr.strip()}"


# The walkers themselves can fail.


@pytest.mark.parametrize(("layer", "code"), [
    ("core", "import app.workers.jobs"), ("core", "from cache import store"), ("core", "def f():\n    import streamlit"),
    ("core", "from distributed import Client"), ("cache", "from app.shared.link import read"), ("pages", "from core import solve"),
    ("pages", "import torch"), ("pages", "from cache.keys import key"), ("app", "from pages import explore"),
    ("core", "from tests.oracles import run"), ("core", "import importlib\nimportlib.import_module('app.workers.jobs')"),
    ("core", "try:\n    import plotly.graph_objects as go\nexcept ImportError:\n    go = None"),
])
def test_a_forbidden_arrow_is_seen(layer, code):
    assert forbidden_arrows(layer, {name.split(".")[0]: line for name, line in imported(ast.parse(code))})


def test_relative_imports_are_followed_out_of_their_package():
    assert dict(imported(ast.parse("from ..app import jobs"), ("core", "methods"))) == {"core.app.jobs": 1}
    assert dict(imported(ast.parse("from . import masks"), ("core",))) == {"core.layer.masks": 1}


@pytest.mark.parametrize("code", [
    "import pickle", "from pickle import loads", "import torch\ntorch.load('x')", "from torch import load", "import cloudpickle",
    "f(trust_remote_code=True)", "f(trust_remote_code=flag)", "np.load(f, allow_pickle=True)",
])
def test_forbidden_code_is_seen(code):
    assert forbidden_code(ast.parse(code))


@pytest.mark.parametrize("code", ["f(trust_remote_code=False)", "np.load(f, allow_pickle=False)", "import safetensors.torch"])
def test_allowed_code_is_allowed(code):
    assert not forbidden_code(ast.parse(code))
