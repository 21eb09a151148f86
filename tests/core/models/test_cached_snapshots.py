"""Snapshots of the hub's cache: used without a network, fetched where that is allowed, refused with code of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from core.models.sources import list_models, resolve_model, unusable_models
from tests.core.models.saved import CODE, COMMIT, CONFIG, make, refusal


def cached(cache: Path, name: str, commit: str = COMMIT, ref: str = "main", config: dict[str, Any] | None = None) -> Path:
    """A model as huggingface_hub keeps it: blobs, links to them in a snapshot, a ref."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / ref).write_text(commit)
    made = make(repository / "made", config)
    blobs, snapshot = repository / "blobs", repository / "snapshots" / commit
    blobs.mkdir(exist_ok=True)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(made.iterdir()):
        file.rename(blobs / f"{commit[:4]}{number}")
        (snapshot / file.name).symlink_to(blobs / f"{commit[:4]}{number}")
    made.rmdir()
    return snapshot


def test_a_cached_snapshot_needs_no_network(models: Path, cache: Path) -> None:
    snapshot = cached(cache, "owner/name")
    cached(cache, "owner/name", "f" * 40, "v2")
    source = resolve_model("owner/name")
    assert (source.origin, source.path, source.revision) == ("hub", snapshot, COMMIT)
    assert resolve_model("owner/name", download=True) == source
    assert resolve_model("owner/name", "v2").revision == "f" * 40
    assert resolve_model("owner/name", COMMIT) == source
    assert [model for model in list_models() if model.origin == "hub"] == [source]
    make(models / "owner" / "name")
    assert resolve_model("owner/name").origin == "folder"


@pytest.mark.parametrize("download", [False, True])
def test_a_model_out_of_reach_is_an_error_at_once(models: Path, download: bool) -> None:
    make(models / "mine")
    error = refusal("owner/name", revision="v2", download=download)
    assert "hf download owner/name --revision v2" in error.remedy
    assert "mine" in error.remedy.partition("At hand:")[2]
    assert ("The hub did not give it" in error.remedy) == download


def test_offline_mode_is_respected(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "The hub did not give it" in refusal("owner/name", download=True).remedy


def test_a_snapshot_without_weights_says_so_and_is_fetched_where_allowed(models: Path, cache: Path) -> None:
    (cached(cache, "owner/name") / "model.safetensors").unlink()
    assert "it has no weights" in refusal("owner/name").remedy
    assert "no weights" in refusal("owner/name", download=True).remedy  # out of reach: the cache's own trouble is what helps
    assert "owner/name" in {model.name for model in unusable_models()}


def test_a_broken_snapshot_is_fetched_again(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = make(tmp_path / "broken"), make(tmp_path / "snapshots" / COMMIT)
    (broken / "model.safetensors").unlink()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda _, **options: broken if options["local_files_only"] else whole)
    assert resolve_model("owner/name", download=True).path == whole


def test_a_cached_model_with_code_of_its_own_is_refused(models: Path, cache: Path) -> None:
    cached(cache, "owner/name", config={**CONFIG, **CODE})
    assert "never runs" in refusal("owner/name").remedy


def test_what_is_fetched_is_safetensors_and_their_company(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    folder = make(tmp_path / "snapshots" / COMMIT)

    def download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if options["local_files_only"]:
            raise FileNotFoundError("not here")
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert resolve_model("owner/name", "main", download=True).revision == COMMIT
    assert [call["local_files_only"] for call in asked] == [True, False]
    assert asked[1]["revision"] == "main"
    assert {"*.jinja", "LICENSE*"} <= set(asked[1]["allow_patterns"])
    assert not any(pattern.endswith((".bin", ".py", ".pt")) or pattern == "*" for pattern in asked[1]["allow_patterns"])
    asked.clear()
    refusal("owner/name")
    assert [call["local_files_only"] for call in asked] == [True]
