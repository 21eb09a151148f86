"""The table of faults in docs/operations.md: its tests are there, are run by `make faults`, and none is missing from it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_fault_has_a_test_and_every_such_test_its_fault() -> None:
    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## Faults\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", table)) - {"tests/test_faults_list.py"}
    marked = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")
              if "mark.faults" in path.read_text(encoding="utf-8")} - {"tests/test_faults_list.py"}
    assert len(named) > 20
    assert sorted(named - marked) == [], "named in the table, without a test that is marked"
    assert sorted(marked - named) == [], "marked, and not in the table"
