"""The rules. Each takes a Tree and returns the violations as sentences; an empty list means that the rule holds."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator

from tests.architecture.tree import LAYERS, Module, Tree, cycles

MAY_IMPORT = {"core": {"core"}, "cache": {"cache", "core"}, "app": {"app", "cache", "core"}, "pages": {"app"}}
OUTSIDE = {"tests", "bench", *LAYERS}
NOT_IN_CORE = {"streamlit", "dask", "distributed", "diskcache", "plotly"}
IN_PAGES = {"app", "streamlit", "__future__"} | set(sys.stdlib_module_names)
WITHOUT_STREAMLIT = ("charts", "findings", "questions")
PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve"}
MUST_BE_FALSE = ("trust_remote_code", "allow_pickle")
MODULE_LINES, PAGE_LINES, FUNCTION_LINES = 200, 150, 50
MAY_USE = {("report", "compare")}  # page folder -> page folder: a report draws what Compare draws
_REFERENCE = re.compile(r"(?<![\w/.])((?:core|cache|app|pages|tests|bench|docs)/[\w/.-]*\w)"
                        r"|`((?:core|cache|app)(?:\.\w+)+)`|\b([A-Z]{2,}\.md)\b")


def arrows(tree: Tree) -> list[str]:
    """pages -> app -> cache -> core, and app -> core; core without the libraries of the layers above; pages with Streamlit only."""
    wrong: list[str] = []
    for module in tree.modules.values():
        layer = module.folder[0]
        for found in tree.imports(module):
            top = found.name.split(".")[0]
            forbidden = ((top in OUTSIDE and top not in MAY_IMPORT[layer]) or (layer == "core" and top in NOT_IN_CORE)
                         or (layer == "pages" and top not in IN_PAGES))
            if forbidden:
                wrong.append(f"{module.name}:{found.line} imports {found.name}")
    return wrong


def circles(tree: Tree) -> list[str]:
    """No module reaches itself through imports, and no folder of core or of app does."""
    modules = {name: set(tree.inside(module)) - _packages_of(module) for name, module in tree.modules.items()}
    return [f"circle of modules: {', '.join(circle)}" for circle in cycles(modules)] + [
        f"circle of folders: {', '.join(circle)}" for layer in ("core", "app") for circle in cycles(rooms(tree, layer))]


def rooms(tree: Tree, layer: str) -> dict[str, set[str]]:
    """The folders of a layer and which of them each imports; core/linalg/cpu counts as part of core/linalg."""
    graph: dict[str, set[str]] = {}
    for module in tree.modules.values():
        if module.folder[0] == layer and len(module.folder) > 1:
            room = graph.setdefault(module.folder[1], set())
            others = (tree.modules[name].folder for name in tree.inside(module))
            room.update(other[1] for other in others if other[0] == layer and len(other) > 1 and other[1] != module.folder[1])
    return graph


def page_folders(tree: Tree) -> list[str]:
    """A page's folder is imported by its own page only; a report may draw what Compare draws."""
    pages = {module.path.stem for module in tree.modules.values() if module.folder == ("pages",)}
    wrong: list[str] = []
    for module in tree.modules.values():
        if module.folder[0] != "app" or len(module.folder) < 2:
            continue
        own = module.folder[1]
        for name in tree.inside(module):
            other = tree.modules[name].folder
            if len(other) < 2 or other[0] != "app" or other[1] == own or other[1] not in pages or (own, other[1]) in MAY_USE:
                continue
            wrong.append(f"{module.name} imports {name}")
    return wrong


def streamlit_free(tree: Tree) -> list[str]:
    """charts, findings and questions, files or folders, reach no Streamlit at import."""
    chosen = [module for module in tree.modules.values() if module.folder[0] == "app"
              and {*module.folder, module.path.stem} & set(WITHOUT_STREAMLIT)]
    return [f"{module.name} reaches streamlit" for module in chosen
            if any(name.split(".")[0] == "streamlit" for name in tree.reached(module))]


def sizes(tree: Tree) -> list[str]:
    """At most 200 lines a module, 150 a page.py, 50 a function."""
    wrong = [f"{module.name} has {module.lines} lines" for module in tree.modules.values()
             if module.lines > (PAGE_LINES if module.path.name == "page.py" else MODULE_LINES)]
    for module in tree.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    wrong.append(f"{module.name}.{node.name} has {length} lines")
    return wrong


def forbidden_code(tree: Tree) -> list[str]:
    """No pickle, no torch.load; trust_remote_code and allow_pickle are literally False; core does not print; pages keep no state."""
    wrong: list[str] = []
    for module in tree.modules.values():
        wrong += [f"{module.name}:{found.line} imports {found.name}" for found in tree.imports(module)
                  if found.name.split(".")[0] in PICKLES]
        for node in ast.walk(module.tree):
            wrong += [f"{module.name}:{getattr(node, 'lineno', 0)} {what}" for what in _forbidden(module, node)]
    return wrong


def _forbidden(module: Module, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.load":
        yield "torch.load"
    if isinstance(node, ast.ImportFrom) and node.module == "torch" and any(alias.name == "load" for alias in node.names):
        yield "from torch import load"
    if isinstance(node, ast.keyword) and node.arg in MUST_BE_FALSE and getattr(node.value, "value", None) is not False:
        yield f"{node.arg} that is not False"
    page = module.folder[0] == "pages" or (module.folder[0] == "app" and module.path.name == "page.py")
    if page and isinstance(node, ast.Attribute) and node.attr == "session_state":
        yield "session_state in a page"
    prints = module.folder[0] == "core" and module.path.name != "train.py" and module.folder[:2] != ("core", "cli")
    if prints and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
        yield "print in core"


def references(tree: Tree) -> list[str]:
    """A file or module that a comment or docstring names is there."""
    wrong: list[str] = []
    for module in tree.modules.values():
        for number, line in enumerate(module.text.splitlines(), start=1):
            if line.lstrip().startswith(("from ", "import ")):
                continue
            for path, dotted, document in _REFERENCE.findall(line):
                if not (_path_exists(tree, path) if path else _name_exists(tree, dotted) if dotted else _document_exists(tree, document)):
                    wrong.append(f"{module.name}:{number} names {path or dotted or document}, which is not there")
    return wrong


def _path_exists(tree: Tree, path: str) -> bool:
    return (tree.root / path).exists() or (tree.root / f"{path}.py").exists()


def _name_exists(tree: Tree, dotted: str) -> bool:
    """A module of the tree, or something that a module defines or imports."""
    if dotted in tree.modules:
        return True
    owner, _, name = dotted.rpartition(".")
    return owner in tree.modules and re.search(rf"\b{re.escape(name)}\b", tree.modules[owner].text) is not None


def _document_exists(tree: Tree, name: str) -> bool:
    return (tree.root / name).exists() or any((tree.root / "docs").rglob(name))


def private_names(tree: Tree) -> list[str]:
    """A name that begins with an underscore is imported by no other module."""
    return [f"{module.name}:{node.lineno} imports {alias.name}"
            for module in tree.modules.values() for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in LAYERS
            for alias in node.names if re.match(r"_[a-zA-Z]", alias.name)]


def _packages_of(module: Module) -> set[str]:
    """The packages that a module stands in: importing it runs their __init__ anyway."""
    return {".".join(module.folder[:depth]) for depth in range(1, len(module.folder) + 1)}


RULES: tuple[Callable[[Tree], list[str]], ...] = (
    arrows, circles, page_folders, streamlit_free, sizes, forbidden_code, references, private_names)
