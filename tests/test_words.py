"""The words of docs/glossary.md: docstrings that index, and none of the banned phrases where a person reads them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import Module, Tree

ROOT = Path(__file__).resolve().parent.parent
MODULES = list(Tree(ROOT).modules.values())
QUESTIONS = re.compile(r"^(What|Whether|Which|How|Where|Who|Why|Do|Does|Is|Are)\b|\?$")
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path.name != "glossary.md")
BRITISH = re.compile(r"\w*(colour|behaviour|neighbour|favour|honour|labour|rigour)\w*|"
                     r"\w*(minim|maxim|optim|normal|initial|token|quant|factor|organ|recogn|summar|general|emphas)is(e|es|ed|ing|ation|ations)\b|"
                     r"\b(un)?(labelled|modelled|travelled|learnt|spelt|towards|greys?|centres?|licences?|judgement|artefacts?|catalogue)\b|"
                     r"\banalys(e|ed|ing)\b|\bper cent\b", re.IGNORECASE)
BANNED_SECTION = re.compile(r"## Not used\n(.*?)(?=\n## |\Z)", re.DOTALL)


def banned(glossary: str) -> list[str]:
    """The phrases of the glossary's section "Not used": the first column of its table."""
    section = BANNED_SECTION.search(glossary)
    assert section, "docs/glossary.md has no section 'Not used'"
    return [row.split("|")[1].strip() for row in section[1].splitlines() if row.startswith("| ") and not row.startswith("| not ")]


BANNED = banned((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


def docstrings(module: Module) -> Iterator[tuple[str, str]]:
    """Name and first line of every docstring."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "module"), text.splitlines()[0]


def strings(module: Module) -> Iterator[tuple[int, str]]:
    """Line and text of every string constant that is no docstring, parts of f-strings included; adjacent literals are one."""
    held = {id(node.body[0].value) for node in ast.walk(module.tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in held:
            yield node.lineno, node.value


def phrases_in(text: str, phrases: list[str]) -> list[str]:
    return [phrase for phrase in phrases if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE)]


def test_docstrings_begin_with_a_noun_or_an_imperative():
    assert not [f"{module.name}.{name}: {line}" for module in MODULES for name, line in docstrings(module) if QUESTIONS.search(line)]


def test_no_banned_phrase_is_shown():
    assert not [f"{module.name}:{line}: {found} in {text[:80]!r}" for module in MODULES
                for line, text in strings(module) for found in phrases_in(text, BANNED)]


def test_no_banned_phrase_is_in_the_documents():
    assert not [(name, found) for name in ("README.md", "CONTRIBUTING.md", *DOCUMENTS)
                for found in phrases_in((ROOT / name).read_text(encoding="utf-8"), BANNED)]


def test_spelling_is_american():
    texts = [(module.name, module.text) for module in MODULES] + [
        (name, (ROOT / name).read_text(encoding="utf-8")) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCUMENTS)]
    assert not [(name, found[0]) for name, text in texts for found in BRITISH.finditer(text)]


def test_the_tests_can_fail():
    assert [found[0] for found in BRITISH.finditer("Grey neighbouring colours are minimised; the emphasis is on tokens.")] == [
        "Grey", "neighbouring", "colours", "minimised"]
    assert BANNED
    assert phrases_in(f"It is {BANNED[0]}.", BANNED) == [BANNED[0]]
    assert QUESTIONS.search("What a run writes down after each block.")
    assert QUESTIONS.search("Stop 6: how fast is it?")
    assert not QUESTIONS.search("Resume state of a run.")
    module = Module("core.a", ROOT / "core" / "a.py", 'def f(x):\n    """Doc."""\n    return f"the {x} is dearest" "."\n')
    assert next(text for _, text in strings(module)) == "the {} is dearest."
