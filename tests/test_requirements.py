"""What is pinned is used, and what is imported is pinned."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("app", "core", "cache", "pages", "tests", "bench")
COMMANDS = {"ruff": "ruff check", "pyright": "pyright", "pytest-timeout": "timeout =", "pytest-xdist": "pytest -n"}  # not imported


def pinned(file: str) -> set[str]:
    """Names of distributions, as they are normalized."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[\[=<>~ ]", line)[0].lower().replace("_", "-") for line in lines if line[:1].isalpha()}


def imported(*folders: str) -> set[str]:
    """Top-level packages that the code of these folders imports, also inside functions."""
    found: set[str] = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
    return found


def distributions(packages: set[str]) -> set[str]:
    known = packages_distributions()
    return {name.lower().replace("_", "-") for package in packages for name in known.get(package, ())}


def test_every_pinned_distribution_is_used():
    used = distributions(imported("app", "core", "cache", "pages"))
    assert not pinned("requirements.txt") - used
    words = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in ("Makefile", "pyproject.toml", ".ci/run"))
    used |= distributions(imported("tests", "bench")) | {name for name, word in COMMANDS.items() if word in words}
    assert not pinned("requirements-dev.txt") - used


def test_everything_imported_is_pinned_or_our_own():
    outside = imported("app", "core", "cache", "pages") - set(sys.stdlib_module_names) - set(OURS)
    known = packages_distributions()
    lacking = {package for package in outside if package in known and not {
        name.lower().replace("_", "-") for name in known[package]} & pinned("requirements.txt")}
    assert not lacking


def test_a_pin_that_nothing_uses_would_be_found():
    assert "rich" in pinned("requirements.txt")
    assert "rich" not in distributions({"numpy"})
