"""A source tree and its imports, read from the text of its files: nothing is executed.

Every import counts, at the top of a module, inside a function, and dynamic ones: `import_module("a.b")` is an import of a.b, and one
whose name is computed counts as an import of every module in the folder of the file it stands in. Imports under `if TYPE_CHECKING:`
exist for the type checker only and do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

LAYERS = ("core", "cache", "app", "pages")
DYNAMIC = ("import_module", "__import__")


@dataclass(frozen=True)
class Module:
    """A file of the tree: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def folder(self) -> tuple[str, ...]:
        """The folders it stands in, from the root: ("core", "linalg", "cpu")."""
        parts = tuple(self.name.split("."))
        return parts if self.path.name == "__init__.py" else parts[:-1]

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


@dataclass(frozen=True)
class Import:
    """An import of `name` at a line; `name` is a module of the tree or the dotted name of something outside."""

    name: str
    line: int


class Tree:
    """All modules below the layers of a root, with the imports between them."""

    def __init__(self, root: Path, layers: tuple[str, ...] = LAYERS) -> None:
        self.root = root
        paths = [path for layer in layers for path in sorted((root / layer).rglob("*.py"))]
        found = [Module(_dotted(path.relative_to(root)), path, path.read_text(encoding="utf-8")) for path in paths]
        self.modules: Mapping[str, Module] = {module.name: module for module in found}
        self._imports: dict[str, tuple[Import, ...]] = {}

    def imports(self, module: Module) -> tuple[Import, ...]:
        """What a module imports: modules of the tree by their own names, everything else by its dotted name."""
        if module.name not in self._imports:
            self._imports[module.name] = tuple(dict.fromkeys(
                Import(self._resolved(name), line) for name, line in self._names(module) if name))
        return self._imports[module.name]

    def inside(self, module: Module) -> tuple[str, ...]:
        """The modules of the tree that a module imports, itself excluded."""
        names = (found.name for found in self.imports(module))
        return tuple(dict.fromkeys(name for name in names if name in self.modules and name != module.name))

    def reached(self, module: Module) -> set[str]:
        """Dotted names of all that a module imports at its top level or that those modules do, and so on."""
        seen, waiting = set[str](), [module]
        while waiting:
            current = waiting.pop()
            top = {node.lineno for node in current.tree.body}
            for found in self.imports(current):
                if found.line in top and found.name not in seen:
                    seen.add(found.name)
                    if found.name in self.modules:
                        waiting.append(self.modules[found.name])
        return seen

    def _resolved(self, name: str) -> str:
        """`core.spec.RunSpec` -> `core.spec` where that is a module of the tree."""
        parts = name.split(".")
        known = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((candidate for candidate in known if candidate in self.modules), name)

    def _names(self, module: Module) -> Iterator[tuple[str, int]]:
        package = module.folder
        for node in _evaluated(module.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else ()
                base = ".".join([*above, *(node.module.split(".") if node.module else [])])
                yield from ((f"{base}.{alias.name}" if base else alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.Call) and _called(node.func) in DYNAMIC and node.args:
                yield from self._dynamic(module, node)

    def _dynamic(self, module: Module, call: ast.Call) -> Iterator[tuple[str, int]]:
        name = getattr(call.args[0], "value", None)
        if isinstance(name, str):
            yield name, call.lineno
            return
        for other in self.modules.values():
            if other.folder == module.folder and other.name != module.name and other.path.name != "__init__.py":
                yield other.name, call.lineno


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of nodes that can reach each other, each sorted: Tarjan's strongly connected components of more than one node."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], index[other])
        if lowest[node] == index[node]:
            place = stack.index(node)
            component, stack[place:] = stack[place:], []
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def _evaluated(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only the type checker reads."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _called(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _called(function: ast.AST) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
