"""The house of docs/architecture.md: the rules hold for the repository, and each of them fails on a planted violation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.tree import LAYERS, Tree, cycles

ROOT = Path(__file__).resolve().parent.parent
TREE = Tree(ROOT)
HEAVY = {"torch", "transformers", "datasets", "lm_eval"}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule):
    assert not rule(TREE)


def test_there_is_a_house():
    assert {module.folder[0] for module in TREE.modules.values()} == set(LAYERS)


def test_nothing_in_app_hides_a_folder_of_the_house():
    """`streamlit run app/main.py` puts app/ first on sys.path: a module app/core.py would be imported instead of core/."""
    assert not [path.name for path in (ROOT / "app").iterdir() if path.stem in {*LAYERS, "tests", "bench"}]


def importing(names: list[str]) -> str:
    """The heavy libraries that a fresh interpreter has loaded after importing these modules."""
    code = f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("folder", ["core.spec", "core.records", "app"])
def test_no_torch_where_the_web_server_looks(folder):
    names = [name for name in TREE.modules if name == folder or name.startswith(f"{folder}.")]
    assert names
    assert importing(["core", *(name for name in names if not name.endswith(("__main__", "app.main")))]) == ""


# Each rule fails where it ought to.


def planted(tmp_path: Path, files: dict[str, str]) -> Tree:
    for layer in LAYERS:
        (tmp_path / layer).mkdir(exist_ok=True)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Tree(tmp_path)


VIOLATIONS = [
    (rules.arrows, {"core/a.py": "import app.jobs", "app/jobs.py": ""}),
    (rules.arrows, {"core/a.py": "def f():\n    import streamlit"}),
    (rules.arrows, {"core/a.py": "from distributed import Client"}),
    (rules.arrows, {"core/a.py": "import importlib\nimportlib.import_module('cache.store')"}),
    (rules.arrows, {"core/a/b.py": "from ...app import jobs"}),
    (rules.arrows, {"core/a.py": "try:\n    import plotly.graph_objects as go\nexcept ImportError:\n    go = None"}),
    (rules.arrows, {"cache/a.py": "from app.link import read"}),
    (rules.arrows, {"app/a.py": "from pages import explore"}),
    (rules.arrows, {"app/a.py": "from tests.oracles import run"}),
    (rules.arrows, {"pages/a.py": "from core import solve"}),
    (rules.arrows, {"pages/a.py": "import torch"}),
    (rules.circles, {"core/x/a.py": "import core.x.b", "core/x/b.py": "import core.x.a"}),
    (rules.circles, {"core/x/a.py": "import core.x.b", "core/x/b.py": "def f():\n    from core.x import a"}),
    (rules.circles, {"core/x/a.py": "import importlib\nimportlib.import_module(name)", "core/x/b.py": "from core.x.a import f"}),
    (rules.circles, {"core/x/a.py": "import core.y.a", "core/y/a.py": "", "core/y/b.py": "import core.x.b", "core/x/b.py": ""}),
    (rules.circles, {"app/x/a.py": "import app.y.a", "app/y/a.py": "", "app/y/b.py": "import app.x.b", "app/x/b.py": ""}),
    (rules.page_folders, {"pages/a.py": "", "pages/b.py": "", "app/a/page.py": "from app.b.charts import f", "app/b/charts.py": ""}),
    (rules.page_folders, {"pages/a.py": "", "app/shared/x.py": "import app.a.page", "app/a/page.py": ""}),
    (rules.streamlit_free, {"app/a/charts.py": "import streamlit as st"}),
    (rules.streamlit_free, {"app/a/findings.py": "from app.shared import layout", "app/shared/layout.py": "import streamlit"}),
    (rules.streamlit_free, {"app/shared/charts/style.py": "from streamlit import write"}),
    (rules.sizes, {"core/a.py": "x = 1\n" * 201}),
    (rules.sizes, {"app/a/page.py": "x = 1\n" * 151}),
    (rules.sizes, {"core/a.py": "def f():\n" + "    x = 1\n" * 50}),
    *[(rules.forbidden_code, {"core/a.py": code}) for code in (
        "import pickle", "from pickle import loads", "import torch\ntorch.load('x')", "from torch import load", "import cloudpickle",
        "f(trust_remote_code=True)", "f(trust_remote_code=flag)", "np.load(f, allow_pickle=True)", "print('x')")],
    (rules.forbidden_code, {"pages/a.py": "import streamlit as st\nst.session_state['x'] = 1"}),
    (rules.forbidden_code, {"app/a/page.py": "st.session_state.x"}),
    (rules.references, {"core/a.py": '"""See core/nowhere.py."""'}),
    (rules.references, {"core/a.py": "# see `core.nowhere`"}),
    (rules.references, {"core/a.py": '"""`core.b.gone`"""', "core/b.py": "here = 1"}),
    (rules.references, {"core/a.py": '"""docs/methods/nothing.md"""'}),
    (rules.references, {"core/a.py": '"""NOWHERE.md, section 4."""'}),
    (rules.private_names, {"core/a.py": "from core.b import _hidden", "core/b.py": "_hidden = 1"}),
]


@pytest.mark.parametrize(("rule", "files"), VIOLATIONS, ids=[f"{rule.__name__}-{number}" for number, (rule, _) in enumerate(VIOLATIONS)])
def test_a_planted_violation_is_found(rule, files, tmp_path):
    assert rule(planted(tmp_path, files))


def test_every_rule_has_a_planted_violation():
    assert {rule for rule, _ in VIOLATIONS} == set(rules.RULES)


ALLOWED = [
    {"core/a.py": "import torch\nimport numpy as np\nnp.load(f, allow_pickle=False)\nf(trust_remote_code=False)\nimport safetensors.torch"},
    {"cache/a.py": "from core.b import f", "core/b.py": "f = 1", "app/c.py": "import cache.a, core.b", "pages/d.py": "import app.c"},
    {"core/x/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from core.x.b import B", "core/x/b.py": "import core.x.a"},
    {"core/x/__init__.py": "from core.x.a import f", "core/x/a.py": "f = 1", "core/x/b.py": "from core.x.a import f"},
    {"app/report/cells.py": "import app.compare.charts", "app/compare/charts.py": "import plotly", "pages/compare.py": ""},
    {"core/a.py": '"""As in core/b.py and `core.b.there`; docs/x.md."""', "core/b.py": "there = 1", "docs/x.md": ""},
]


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("files", ALLOWED, ids=range(len(ALLOWED)))
def test_what_is_allowed_is_allowed(rule, files, tmp_path):
    assert not rule(planted(tmp_path, files))


def test_cycles_are_found_in_any_graph():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"f"}, "f": {"e"}}) == [["a", "b", "c"], ["e", "f"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_heavy_imports_are_seen():
    assert importing(["torch"]) == "torch"
