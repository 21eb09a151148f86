"""A pruned model to take away: its zip loads and computes what the pruned model computes; its card says what was done."""

from __future__ import annotations

import json
import zipfile
from types import SimpleNamespace

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from core.evaluate.comparison import compare
from core.export import room
from core.export.archive import write_zip
from core.export.card import model_card, settings
from core.export.folder import MemoryJournal
from core.export.room import archive_name, require_room
from core.linalg.cancellation import cancel_unless
from core.models.blocks import map_blocks
from core.models.sources import resolve_model
from core.records import RunResult, Score, TaskScores
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, Structured, Wanda, parse_pattern
from core.spec.errors import BadInput, Cancelled
from core.spec.flags import command_line
from tests.core.families import FAMILIES, save_family


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return tmp_path


def pruned(models, family: str = "llama", **changes) -> tuple[RunResult, MemoryJournal]:
    source = f"windows:{save_family(family, models) / 'windows.npy'}"
    spec = RunSpec(model=family, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=2),
                   **{"method": Wanda(), "pattern": parse_pattern("2:4"), **changes})
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    return last.result, journal


@pytest.mark.parametrize("family", FAMILIES)
def test_the_unpacked_zip_has_the_logits_of_the_pruned_model(family, models, tmp_path):
    result, journal = pruned(models, family)
    write_zip(result, journal.weights, tmp_path / "taken.zip")
    with zipfile.ZipFile(tmp_path / "taken.zip") as packed:
        assert packed.testzip() is None
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
        packed.extractall(tmp_path / "unpacked")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "unpacked" / "taken").eval()
    own = AutoModelForCausalLM.from_pretrained(models / family).eval()
    for linears in map_blocks(own).linears:
        for linear in linears:
            linear.write(journal.weights[linear.name])
    tokens = torch.arange(3, 23)[None]
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, own(tokens).logits)
    assert not list(tmp_path.glob(".taken*"))


def test_the_zip_holds_record_recipe_and_card(models, tmp_path):
    result, journal = pruned(models)
    told: list[tuple[str, float]] = []
    written = write_zip(result, journal.weights, tmp_path / "taken.zip", lambda words, share: told.append((words, share)))
    with zipfile.ZipFile(tmp_path / "taken.zip") as packed:
        content = {name.removeprefix("taken/"): packed.read(name) for name in packed.namelist()}
    assert {"config.json", "model.safetensors", "prunescope.json", "recipe.json", "README.md"} <= set(content)
    assert RunResult.model_validate_json(content["prunescope.json"]) == written
    assert written.model_copy(update={"export": None}) == result
    found = json.loads(content["recipe.json"])
    assert RunSpec.model_validate(found["spec"]) == result.spec
    assert found["command"] == command_line(result.spec)
    assert content["README.md"].decode() == model_card(written, resolve_model("llama"))
    assert "opened again" in content["README.md"].decode()
    assert told[-1] == ("Packing the folder", 1.0)


def test_the_card_is_markdown_with_the_counts_of_the_run(models):
    result, _ = pruned(models, method=Wanda(), pattern=Structured(sparsity=0.25))
    card = model_card(result, resolve_model("llama"))
    _, header, body = card.split("---\n", 2)
    assert yaml.safe_load(header) == {"library_name": "transformers", "pipeline_tag": "text-generation",
                                      "tags": ["pruning", "sparsity", "wanda"]}
    zeros = sum(round(layer.counted_sparsity * layer.parameters) for layer in result.layers)
    assert f"{zeros:,} of {sum(layer.parameters for layer in result.layers):,} weights in 14 linear layers" in body
    assert f"{result.dense.perplexity:.2f} | {result.pruned.perplexity:.2f}" in body
    change = compare(result.dense, result.pruned)
    assert change is not None
    assert f"{result.pruned.perplexity:.2f} | {change.verdict} |" in body
    assert result.pruned.protocol in body
    assert command_line(result.spec) in body
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert all(line.count("|") - line.count("\\|") in (3, 5) for line in rows)


def test_the_card_tells_the_paired_change_of_each_score(models):
    result, _ = pruned(models)
    dense = TaskScores(examples=20, available=20, shots=0, chance=0.5, truncated=0, version="1", content="c",
                       scores={"acc": Score(value=0.8, stderr=0.09)}, outcomes={"acc": "1" * 16 + "0" * 4})
    worse = dense.model_copy(update={"scores": {"acc": Score(value=0.5, stderr=0.11)}, "outcomes": {"acc": "1" * 10 + "0" * 10}})
    for found, told in ((worse, "| −0.3000 ± 0.1051 |"), (dense, "| tie (+0.0000 ± 0.0000) |")):
        scored = result.model_copy(update={"tasks": {"mine": found.model_copy(update={"dense": dense})}})
        assert told in model_card(scored, resolve_model("llama"))


def test_the_base_model_of_a_card_is_a_hub_id_only(models):
    result, _ = pruned(models)
    source = resolve_model("llama")
    assert "base_model:" not in model_card(result, source)
    from_hub = source.model_copy(update={"origin": "hub", "name": "owner/name"})
    header = model_card(result, from_hub).split("---\n", 2)[1]
    assert yaml.safe_load(header)["base_model"] == "owner/name"


def test_settings_are_those_of_the_method_and_what_is_not_usual():
    told = dict(settings(RunSpec(refit=True)))
    assert (told["Method"], told["Block size"], told["Exact refit"]) == ("Thanos", "128", "yes")
    assert "Error propagation" not in told


def test_a_zip_that_does_not_fit_is_refused_before_anything_is_written(models, tmp_path, monkeypatch):
    save_family("llama", models)
    spec = RunSpec(model="llama")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=10**6))
    with pytest.raises(BadInput, match=r"GB free"):
        require_room(spec, tmp_path / "taken.zip")


def test_a_zip_that_exists_is_not_overwritten(models, tmp_path):
    save_family("llama", models)
    (tmp_path / "taken.zip").write_text("mine")
    for place in (tmp_path / "taken.zip", tmp_path / "no" / "taken.zip"):
        with pytest.raises(BadInput, match="does not exist yet"):
            require_room(RunSpec(model="llama"), place)


def test_a_cancelled_zip_leaves_nothing_behind(models, tmp_path):
    result, journal = pruned(models)
    with pytest.raises(Cancelled), cancel_unless(lambda: False):
        write_zip(result, journal.weights, tmp_path / "taken.zip")
    assert not list(tmp_path.glob("*taken*"))


def test_a_name_is_one_for_every_file_system():
    spec = RunSpec(model="owner/some model", method=Wanda(), pattern=parse_pattern("2:4"))
    assert archive_name(spec) == "owner-some-model-wanda-2-4"
