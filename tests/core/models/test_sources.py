"""Names to models: what a folder says, which names are refused and in which words, what is listed, and that no torch is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.models import sources
from core.models.sources import ModelSource, list_models, resolve_model, unusable_models
from tests.core.models.saved import COMMIT, CONFIG, make, refusal


def test_a_folder_is_described_from_its_configuration_and_headers(models: Path) -> None:
    folder = make(models / "mine")
    source = resolve_model("mine")
    assert source == ModelSource(
        name="mine", origin="folder", path=folder.resolve(), revision=source.revision, architecture="LlamaForCausalLM",
        family="llama", context=128, hidden=8, blocks=2, parameters=72, dtype="float16",
        bytes=(folder / "model.safetensors").stat().st_size)
    assert len(source.revision) == 64
    assert ModelSource.model_validate_json(source.model_dump_json()) == source


@pytest.mark.parametrize(("config", "shape"), [
    ({"model_type": "gpt2", "n_embd": 16, "n_layer": 3, "n_positions": 32}, (32, 16, 3)),
    ({"model_type": "mpt", "d_model": 16, "n_layers": 3, "max_seq_len": 32}, (32, 16, 3)),
    ({"model_type": "gemma3", "text_config": {"hidden_size": 16, "num_hidden_layers": 3}}, (2048, 16, 3)),
    ({**CONFIG, "text_config": {"hidden_size": 99}}, (128, 8, 2)),
    ({**CONFIG, "max_position_embeddings": None}, (2048, 8, 2)),
])
def test_sizes_go_by_several_names(models: Path, config: dict[str, Any], shape: tuple[int, int, int]) -> None:
    make(models / "mine", config)
    source = resolve_model("mine")
    assert (source.context, source.hidden, source.blocks) == shape


def test_shards_are_counted_together_and_strays_not_at_all(models: Path) -> None:
    folder = make(models / "mine", shards=3)
    save_file({"more": np.ones(1000, dtype=np.float32)}, folder / "consolidated.safetensors")
    assert resolve_model("mine").parameters == 3 * 72


@pytest.mark.parametrize("name", ["a", "a/b", "a/b/c", "with space", "üñí"])
def test_folders_may_be_nested_and_win_over_hub_ids(models: Path, name: str) -> None:
    make(models / name)
    assert resolve_model(name).path == models / name


def test_the_environment_is_read_at_each_call(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    make(tmp_path / "other" / "yours")
    resolve_model("mine")
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "other"))
    resolve_model("yours")
    assert "At hand" in refusal("mine").remedy


def test_the_demo_is_found_or_its_making_is_named(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MODEL", tmp_path / "demo")
    assert "make demo-model" in refusal("demo").remedy
    assert "make demo-model" in next(model.reason for model in unusable_models() if model.name == "demo")
    make(tmp_path / "demo")
    make(models / "demo", {**CONFIG, "hidden_size": 16})
    assert resolve_model("demo").hidden == 8
    assert [model.origin for model in list_models()] == ["demo"]


# --- bad names -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "", "/", "..", "../models/mine", "mine/..", "mine/../mine", "./mine", "mine/", "/etc", "~", "~root/x", "mine\\x", "mine\0",
    "mi\nne", "mine\u202e", "\udc80", "C:\\models",
])
def test_names_that_could_leave_the_folder_are_refused(models: Path, name: str) -> None:
    make(models / "mine")
    error = refusal(name)
    assert error.field == "model"
    assert "control characters are refused" in error.remedy


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "x" * 300, "owner/" + "n" * 300, "-o/name", "owner/na me", "owner/é"])
def test_names_of_nothing_say_what_is_at_hand(models: Path, name: str) -> None:
    make(models / "mine")
    error = refusal(name)
    assert "no such folder" in error.remedy
    assert "mine" in error.remedy.partition("At hand:")[2]
    assert str(models) in error.remedy


@pytest.mark.parametrize("revision", ["", "../../x", "v1/../x", "a b", "-x", "x" * 65, "a\n"])
def test_bad_revisions_are_refused(models: Path, revision: str) -> None:
    assert refusal("owner/name", revision=revision).field == "revision"


def test_a_folder_has_the_revision_of_its_content_only(models: Path) -> None:
    make(models / "mine")
    address = resolve_model("mine").revision
    assert resolve_model("mine", address[:12]).revision == address
    error = refusal("mine", revision="main")
    assert error.field == "revision"
    assert address[:12] in str(error)


def test_links_out_of_the_folder_are_refused(models: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside")
    (models / "link").symlink_to(outside)
    (models / "up").symlink_to(tmp_path)
    assert "link out of PRUNESCOPE_MODELS" in refusal("link").remedy
    assert "link out of PRUNESCOPE_MODELS" in refusal("up/outside").remedy
    folder = make(models / "weights")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(outside / "model.safetensors")
    assert "link out of PRUNESCOPE_MODELS" in refusal("weights").remedy
    assert {model.name for model in unusable_models()} >= {"link", "weights"}


@pytest.mark.parametrize("place", ["tokenizer.json", "config.json", "chat_template.jinja", "sub/deep/x.json", "sub"])
def test_no_file_of_a_model_may_be_a_link_out(models: Path, tmp_path: Path, place: str) -> None:
    outside = make(tmp_path / "outside")
    (outside / "config.json").with_name("x.json").write_text("secret")
    link = make(models / "mine") / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(outside / place if place in ("tokenizer.json", "config.json") else outside)
    assert "link out of PRUNESCOPE_MODELS" in refusal("mine").remedy
    assert "mine" in {model.name for model in unusable_models()}


def test_a_linked_folder_inside_is_looked_through(models: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (models / "other").mkdir()
    (models / "other" / "file").symlink_to(tmp_path / "secret")
    (make(models / "mine") / "sub").symlink_to(models / "other")
    assert "Its file is a link out" in refusal("mine").remedy


def test_a_snapshot_of_the_hub_links_into_its_own_cache_only(cache: Path, tmp_path: Path) -> None:
    repository = cache / "models--owner--name"
    snapshot, blobs = repository / "snapshots" / COMMIT, repository / "blobs"
    made = make(tmp_path / "made")
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in made.iterdir():
        shutil.copy(file, blobs / file.name)
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert resolve_model("owner/name").revision == COMMIT
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer.json").symlink_to(made / "tokenizer.json")
    assert "link out of the hub's cache" in refusal("owner/name").remedy


def test_links_inside_and_a_linked_root_are_fine(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    (models / "same").symlink_to(models / "mine")
    (models / "loop").symlink_to(models / "loop")
    assert resolve_model("same").revision == resolve_model("mine").revision
    refusal("loop")
    (tmp_path / "root").symlink_to(models)
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "root"))
    assert resolve_model("mine").path == models / "mine"


def test_lists_hold_folders_three_deep_and_no_deeper(models: Path) -> None:
    for name in ("one", "one/inside", "a/two", "a/b/three", "a/b/c/four", ".hidden/five"):
        make(models / name)
    assert [model.name for model in list_models() if model.origin == "folder"] == ["a/b/three", "a/two", "one"]
    for model in list_models():
        assert resolve_model(model.name) == model


def test_a_missing_root_is_reported(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "nowhere"))
    assert "PRUNESCOPE_MODELS" in {model.name for model in unusable_models()}
    monkeypatch.delenv("PRUNESCOPE_MODELS")
    assert "PRUNESCOPE_MODELS" not in {model.name for model in unusable_models()}
    assert "PRUNESCOPE_MODELS is not set" in refusal("mine").remedy


def test_names_that_cannot_be_asked_for_are_reported(models: Path) -> None:
    make(models / "line\nbreak")
    assert [model.name for model in list_models() if model.origin == "folder"] == []
    assert "line\nbreak" in {model.name for model in unusable_models()}


def test_no_torch_and_no_transformers_are_imported(models: Path, root: Path) -> None:
    make(models / "mine")
    code = ("import sys, core.models.sources as s\n"
            "assert 'huggingface_hub' not in sys.modules\n"
            "s.resolve_model('mine'); s.list_models(); s.unusable_models()\n"
            "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_real_checkpoint(stories260k: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    source = resolve_model("stories260K")
    assert (source.parameters, source.context, source.hidden, source.blocks, source.dtype) == (260_032, 512, 64, 5, "float16")
