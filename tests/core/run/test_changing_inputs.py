"""A model or text that is written while a run goes on: the run fails in words, and nothing it leaves behind is false."""

import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from core.cli.commands import app
from core.export.folder import MemoryJournal, save_checkpoint
from core.models import open_model as opening
from core.models.grams import collect
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.records import BlockFinished, Finished, RunResult, Started
from core.run.evaluation import evaluate
from core.run.pipeline import prune, prune_together
from core.run.revisions import revisions
from core.spec import Calibration, Evaluation, RunSpec
from core.spec.errors import InputChanged
from tests.core.families import save_family

pytestmark = pytest.mark.faults


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A LLaMA of two blocks below PRUNESCOPE_MODELS, its windows beside it."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "models"))
    return save_family("llama", tmp_path / "models")


@pytest.fixture
def spec(folder):
    return RunSpec(model="llama", calibration=Calibration(source=f"windows:{folder / 'windows.npy'}", windows=8),
                   evaluation=Evaluation(source=f"windows:{shutil.copy(folder / 'windows.npy', folder.parent / 'held-out.npy')}"))


def write_in_place(folder):
    """Other weights in the same file, its time of writing set back."""
    file = folder / "model.safetensors"
    before = file.stat()
    changed = {name: -2 * tensor for name, tensor in load_file(file).items()}
    save_file(changed, folder / "new", {"format": "pt"})
    with file.open("r+b") as stream:
        stream.write((folder / "new").read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(folder):
    write_in_place(shutil.copytree(folder, folder.parent / "other"))
    (folder.parent / "other" / "model.safetensors").replace(folder / "model.safetensors")


def cut_off(folder):
    os.truncate(folder / "model.safetensors", 1000)


def exchange_folders(folder):
    shutil.copytree(folder, folder.parent / "copy")
    write_in_place(folder.parent / "copy")
    folder.rename(folder.parent / "away")
    (folder.parent / "copy").rename(folder)


def there_and_back(folder):
    """Other weights for a moment, then the same again."""
    content = (folder / "model.safetensors").read_bytes()
    write_in_place(folder)
    (folder / "model.safetensors").write_bytes(content)


def write_configuration(folder):
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps"', '"rms_norm_eps" '))


def other_calibration(folder):
    np.save(folder / "windows.npy", np.load(folder / "windows.npy")[::-1])


def other_evaluation(folder):
    np.save(folder.parent / "held-out.npy", np.load(folder / "windows.npy")[::-1])


CHANGES = {write_in_place: "model", replace: "model", cut_off: "model", exchange_folders: "model", there_and_back: "model",
           write_configuration: "model", other_calibration: "calibration", other_evaluation: "evaluation"}
MOMENTS = {
    "before anything is computed": lambda event: isinstance(event, Started),
    "between blocks": lambda event: isinstance(event, BlockFinished),
    "while perplexity is measured": lambda event: event.kind == "progress" and event.stage == "evaluate" and event.block == 1,
}


def result_of(spec, **options) -> RunResult:
    *_, last = prune(spec, **options)
    return last.result


def drain_with(spec, change, moment, **options):
    """Drain a run and make the change once, at its moment."""
    pending = [change]
    for event in prune(spec, **options):
        assert not isinstance(event, Finished)
        if pending and moment(event):
            pending.pop()()
    assert not pending


@pytest.mark.parametrize(("change", "moment"), [
    *((change, "between blocks") for change in CHANGES), (write_in_place, "before anything is computed"),
    (other_calibration, "before anything is computed"), (replace, "while perplexity is measured")])
def test_a_run_fails_in_words(change, moment, folder, spec):
    with pytest.raises(InputChanged, match="has changed since") as failure:
        drain_with(spec, lambda: change(folder), MOMENTS[moment])
    assert failure.value.field == CHANGES[change]


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_resumed_holds_no_block_of_another_model(moment, folder, spec):
    undisturbed, before = result_of(spec), revisions(spec)
    content, journal = (folder / "model.safetensors").read_bytes(), MemoryJournal()
    with pytest.raises(InputChanged):
        drain_with(spec, lambda: write_in_place(folder), MOMENTS[moment], journal=journal, expected=before)
    with pytest.raises(InputChanged):
        result_of(spec, journal=journal, expected=before)
    (folder / "model.safetensors").write_bytes(content)
    resumed = result_of(spec, journal=journal, expected=before)
    assert (resumed.resumed_blocks > 0) == (moment != "before anything is computed")
    assert resumed.pruned == undisturbed.pruned
    assert resumed.revisions == undisturbed.revisions == before


def test_permissions_and_links_are_no_change(folder, spec):
    def touch_nothing():
        os.chmod(folder / "model.safetensors", 0o400)
        os.link(folder / "model.safetensors", folder.parent / "backup")

    *_, last = [event for event in prune(spec) if not (isinstance(event, BlockFinished) and event.block == 0 and touch_nothing())]
    assert last.result.revisions == revisions(spec)


def test_an_evaluation_fails_too(folder, spec, monkeypatch):
    from core.run import evaluation

    measured = evaluation.token_losses
    monkeypatch.setattr(evaluation, "token_losses", lambda *given: (write_in_place(folder), measured(*given))[1])
    with pytest.raises(InputChanged):
        evaluate(spec)


@pytest.mark.parametrize("change", [write_in_place, there_and_back, other_calibration])
def test_a_change_while_the_model_is_loaded(change, folder, spec, monkeypatch):
    load = opening.load_model
    monkeypatch.setattr(opening, "load_model", lambda *given, **named: (load(*given, **named), change(folder))[0])
    with pytest.raises(InputChanged):
        opening.open_model(spec, torch.device("cpu"))


def test_loaded_weights_are_not_those_on_the_disk(folder):
    model = load_model(resolve_model("llama"))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    write_in_place(folder)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    cut_off(folder)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_gram_matrices_of_another_model_are_not_kept(folder, spec):
    opened = opening.open_model(spec, torch.device("cpu"))
    kept = {}

    class Kept:
        def read(self, block):
            return kept.get(block)

        def write(self, block, inputs):
            kept[block] = inputs
            write_in_place(folder)

    with pytest.raises(InputChanged):
        list(collect(opened, Kept()))
    assert list(kept) == [0]


def test_a_saved_model_is_the_pruned_one(folder, spec, tmp_path):
    journal = MemoryJournal()
    result = result_of(spec, journal=journal)
    write_in_place(folder)
    with pytest.raises(InputChanged):
        save_checkpoint(result, journal.weights, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_change_while_it_is_saved(folder, spec, tmp_path, monkeypatch):
    from core.export import folder as exporting

    journal = MemoryJournal()
    result = result_of(spec, journal=journal)
    copy = exporting.copy_pruned
    monkeypatch.setattr(exporting, "copy_pruned", lambda *given, **named: (copy(*given, **named), write_in_place(folder))[0])
    with pytest.raises(InputChanged):
        save_checkpoint(result, journal.weights, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    monkeypatch.undo()


def test_a_continued_sweep_serves_no_number_of_another_model(folder, spec, tmp_path, monkeypatch):
    """Of three runs one is there; the model is exchanged in the middle of the two others. The sweep is then asked for again."""
    from core.cli import output

    words = ["sweep", "--model", "llama", "--calibration", spec.calibration.source, "--windows", "8", "--evaluation",
             spec.evaluation.source, "--json", str(tmp_path / "sweep.json")]
    every = [*words, "--methods", "magnitude,wanda,sparsegpt"]
    asked = []

    def disturbed(specs, **named):
        asked.append(len(specs))
        for index, event in prune_together(specs, **named):
            if len(specs) == 2 and index and isinstance(event, BlockFinished) and event.block == 0:
                write_in_place(folder)
            yield index, event

    assert CliRunner().invoke(app, [*words, "--methods", "magnitude"]).exit_code == 0
    monkeypatch.setattr("core.run.pipeline.prune_together", disturbed)
    stopped = CliRunner().invoke(app, every)
    assert stopped.exit_code == 2
    assert "2 of 3 runs failed" in stopped.output
    assert stopped.output.count("model: 'llama' has changed") == 2
    assert len(output.stored_runs(tmp_path / "sweep.json")) == 1
    continued = CliRunner().invoke(app, every)
    assert continued.exception is None, continued.output
    found = {result.spec.method.name: result for result in output.stored_runs(tmp_path / "sweep.json")}
    assert asked == [2, 3], "the first run was of another model: it is computed anew"
    for result in found.values():
        assert result.revisions == revisions(result.spec)
        assert result.pruned == result_of(result.spec).pruned
        assert result.dense == found["magnitude"].dense
