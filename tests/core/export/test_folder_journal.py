"""A pruned model written block by block: killed at any moment it does not load, and continues to the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from core.export.folder import MemoryJournal, require_empty, save_checkpoint
from core.export.folder_journal import PART, RUN, FolderJournal
from core.models.sources import resolve_model
from core.records import RunResult
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.spec.errors import BadInput
from tests.core.families import save_family


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    """A run of a model in many shards."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    folder = save_family("llama", tmp_path)
    AutoModelForCausalLM.from_pretrained(folder).bfloat16().save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model="shards", calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=4),
                   method=make_method("wanda"))


def run(spec: RunSpec, journal: Any, **options: Any) -> RunResult:
    *_, last = prune(spec, journal=journal, **options)
    assert last.kind == "finished"
    return last.result


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors*")}


def killed(spec: RunSpec, folder: Path, layers: int) -> None:
    """A run that ends without a word after so many layers."""
    count = 0
    for event in prune(spec, journal=FolderJournal(folder, spec, shards=True), streaming="always"):
        count += event.kind == "layer"
        if count == layers:
            return


@pytest.mark.parametrize("layers", [3, 10, 14], ids=["in the first block", "in the second", "at the end"])
def test_a_killed_run_continues_to_the_same_folder(spec: RunSpec, layers: int, tmp_path: Path) -> None:
    memory = MemoryJournal()
    whole = run(spec, memory, streaming="never")
    save_checkpoint(whole, memory.weights, tmp_path / "whole")

    folder = tmp_path / "resumed"
    killed(spec, folder, layers)
    with pytest.raises(BadInput):
        resolve_model("resumed")
    with pytest.raises(BadInput):
        resolve_model(f"resumed/{PART}")
    require_empty(folder)
    journal = FolderJournal(folder, spec, shards=True)
    result = run(spec, journal, streaming="always")
    assert result.resumed_blocks == (layers - 1) // 7
    assert (result.pruned, result.dense) == (whole.pruned, whole.dense)
    written = journal.written
    assert written, "as the run went on"
    save_checkpoint(result, journal.weights, folder, written=written, streaming="always")
    journal.close()
    assert files(folder) == files(tmp_path / "whole")
    assert len(files(folder)) > 5
    assert not list(folder.glob(".*"))


def test_what_another_run_left_is_not_taken_over(spec: RunSpec, tmp_path: Path) -> None:
    killed(spec, tmp_path / "out", 10)
    assert (tmp_path / "out" / RUN / "block-00000.safetensors").is_file()
    other = spec.model_copy(update={"method": make_method("magnitude")})
    assert FolderJournal(tmp_path / "out", other, shards=True).read(0) is None
    assert not (tmp_path / "out" / PART).exists()


def test_a_block_that_was_cut_off_is_not_there(spec: RunSpec, tmp_path: Path) -> None:
    killed(spec, tmp_path / "out", 10)
    file = tmp_path / "out" / RUN / "block-00000.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    assert FolderJournal(tmp_path / "out", spec, shards=True).read(0) is None


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="a folder that is empty or does not exist yet"):
        require_empty(tmp_path)
    require_empty(tmp_path / "new")
