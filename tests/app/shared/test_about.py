"""About: the version that is installed, the license that is in the folder, a citation that BibTeX can read."""

import re
import tomllib
from pathlib import Path

from app.shared import about


def test_version_and_license_are_those_of_the_repository(root: Path):
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"**PruneScope {version}**" in about.markdown()
    assert f"version = {{{version}}}" in about.citation()
    assert (root / "LICENSE").read_text().startswith("MIT License")
    assert "License: MIT" in about.markdown()


def test_the_citation_is_one_entry_with_balanced_braces():
    entry = about.citation()
    assert entry.startswith("@software{prunescope,")
    assert entry.count("{") == entry.count("}")
    assert {"title", "author", "version", "year", "license"} <= set(re.findall(r"^  (\w+)", entry, re.MULTILINE))
    assert entry in about.markdown()
