"""Homes that releases have left open in this one: their entries are found, with what was in them, under their keys.

A release adds a folder: `python -m tests.cache.homes tests/cache/releases/VERSION`. Folders that are there are never written again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cache.keys import run_key
from core.records import Revisions
from core.spec import RunSpec
from tests.cache.homes import plain, read, restore

pytestmark = pytest.mark.faults
FOLDERS = sorted((Path(__file__).parent / "releases").iterdir())
# Keys that links of that release hold, by the settings they are of.
KEYS = json.loads((Path(__file__).parent / "release_keys.json").read_text())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_home_of_a_release_opens_with_all_that_was_in_it(folder, tmp_path):
    restore(folder, tmp_path)
    expected, found = json.loads((folder / "found.json").read_text()), plain(read(tmp_path))
    assert set(expected) <= set(found)
    for kind, entry in expected.items():
        assert _within(entry, found[kind]), f"{kind}: {entry} is read as {found[kind]}"


@pytest.mark.parametrize("entry", KEYS, ids=lambda entry: entry["key"][:8])
def test_settings_of_a_release_have_the_keys_they_had(entry):
    assert run_key(RunSpec.model_validate(entry["spec"]), Revisions.model_validate(entry["revisions"])) == entry["key"]


def _within(old: object, new: object) -> bool:
    """True if all that was there is there; fields that came later may stand beside it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and _within(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_within(*pair) for pair in zip(old, new, strict=True))
    return old == new
