"""Commands that are killed, in processes of their own: the same command goes on, a half-written folder is none, nobody loses results."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
import zipfile

import pytest
from typer.testing import CliRunner

from core.cli.commands import app
from core.cli.interrupted import SweepResults
from core.run.kept_blocks import FORGOTTEN
from tests.core.cli.forked import Command
from tests.core.families import save_family

pytestmark = pytest.mark.faults


@pytest.fixture
def words(tmp_path, monkeypatch):
    """A small model and its text."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "models"))
    text = f"windows:{save_family('llama', tmp_path / 'models') / 'windows.npy'}"
    return ["--model", "llama", "--windows", "8", "--calibration", text, "--evaluation", text]


def call(*words: str):
    return CliRunner().invoke(app, list(words))


SLOW = "import core.run.block_files as files, time, pathlib\nreal = files.TensorFiles.write\n"
KILLED = "import os, signal\ndef die(): os.kill(os.getpid(), signal.SIGKILL)\n"
AFTER_A_BLOCK = KILLED + SLOW + "def write(*given):\n    real(*given)\n    die()\nfiles.TensorFiles.write = write\n"


def killed(code: str, *words: str) -> None:
    process = Command(*words, code=code)
    process.end()
    assert process.returncode == -signal.SIGKILL


def test_a_killed_command_goes_on_after_its_finished_blocks(words, tmp_path, prunescope_home):
    asked = ["prune", *words, "--method", "wanda"]
    assert call(*asked, "--json", str(tmp_path / "whole.json")).exit_code == 0
    killed(AFTER_A_BLOCK, *asked, "--json", str(tmp_path / "killed.json"))
    assert not (tmp_path / "killed.json").exists()
    done = call(*asked, "--json", str(tmp_path / "killed.json"))
    assert done.exit_code == 0, done.output
    assert "Continuing: an earlier command has finished 1 block of" in done.output
    whole, later = (json.loads((tmp_path / name).read_text()) for name in ("whole.json", "killed.json"))
    assert (whole["resumed_blocks"], later["resumed_blocks"]) == (0, 1)
    assert later["pruned"] == whole["pruned"]
    assert [layer["relative_error"] for layer in later["layers"]] == [layer["relative_error"] for layer in whole["layers"]]
    assert list((prunescope_home / "unfinished").iterdir()) == []
    assert call("prune", *words, "--method", "magnitude").output.count("Continuing") == 0


def test_a_killed_run_of_blocks_is_not_scored_anew(words, tmp_path, prunescope_home):
    asked = ["prune", *words, "--method", "left-out", "--pattern", "blocks:1"]
    assert call(*asked, "--json", str(tmp_path / "whole.json")).exit_code == 0
    killed(AFTER_A_BLOCK, *asked)
    never = SLOW + "import core.structures.left_out as left_out\nleft_out.score = None\n"
    process = Command(*asked, "--json", str(tmp_path / "killed.json"), code=never)
    _, said = process.end()
    assert process.returncode == 0, said
    assert "Continuing: an earlier command has finished 1 round of scores" in said
    whole, later = (json.loads((tmp_path / name).read_text()) for name in ("whole.json", "killed.json"))
    assert (later["pruned"], later["shape"]) == (whole["pruned"], whole["shape"])
    assert list((prunescope_home / "unfinished").iterdir()) == []


# Dies behind the move of the file that bears a name, into the folder of a save
AFTER_A_MOVE = KILLED + (
    "import pathlib\nreal = pathlib.Path.replace\n"
    "def replace(self, target):\n    done = real(self, target)\n"
    "    if self.name == '{name}' and self.parent.name == '.unfinished' and target.parent.name != '.unfinished': die()\n    return done\n"
    "pathlib.Path.replace = replace\n")


def test_a_save_that_is_killed_between_two_moves_does_not_load_and_goes_on(words, tmp_path):
    saved, other = tmp_path / "models" / "saved", tmp_path / "models" / "other"
    asked = ["prune", *words, "--method", "wanda", "--save", str(saved)]
    killed(AFTER_A_MOVE.replace("{name}", "model.safetensors"), *asked)
    assert (saved / "model.safetensors").exists()
    refused = call("evaluate", "--model", "saved", *words[4:5], *words[6:])
    assert refused.exit_code == 2, refused.output
    killed(AFTER_A_MOVE.replace("{name}", "recipe.json"), *asked)  # again, at another place
    done = call(*asked)
    assert done.exit_code == 0, done.output
    assert call(*asked[:-1], str(other)).exit_code == 0
    files = {file.name: file.read_bytes() for file in saved.iterdir()}
    assert files.keys() == {file.name for file in other.iterdir()}
    assert files["model.safetensors"] == (other / "model.safetensors").read_bytes()
    assert json.loads(files["prunescope.json"])["resumed_blocks"] == 2  # of 2: what was finished was not computed again


@pytest.mark.long
def test_a_save_that_is_killed_behind_its_last_move_is_whole_and_is_not_overwritten(words, tmp_path):
    saved = tmp_path / "models" / "saved"
    asked = ["prune", *words, "--method", "wanda", "--save", str(saved)]
    killed(AFTER_A_MOVE.replace("{name}", "config.json"), *asked)
    assert {"config.json", "README.md", "recipe.json", "prunescope.json"} <= {file.name for file in saved.iterdir()}
    refused = call(*asked)
    assert (refused.exit_code, "a folder that is empty" in refused.output) == (2, True)
    assert not [file for file in saved.iterdir() if file.name.startswith(".unfinished")]
    assert call("evaluate", "--model", "saved", "--evaluation", words[-1]).exit_code == 0


def test_a_zip_that_is_killed_behind_its_last_move_is_whole_and_leaves_nothing(words, tmp_path):
    asked = ["prune", *words, "--method", "wanda", "--zip", str(tmp_path / "model.zip")]
    killed(KILLED + "import core.export.folder_journal as journal\njournal.FolderJournal.close = lambda self: die()\n", *asked)
    assert zipfile.ZipFile(tmp_path / "model.zip").testzip() is None
    assert (tmp_path / ".model.zip").exists()
    refused = call(*asked)
    assert (refused.exit_code, "does not exist yet" in refused.output) == (2, True)
    assert not (tmp_path / ".model.zip").exists()


@pytest.mark.long
def test_a_save_of_another_run_begins_anew_in_a_folder_that_was_left_unfinished(words, tmp_path):
    saved = tmp_path / "models" / "saved"
    killed(AFTER_A_MOVE.replace("{name}", "model.safetensors"), "prune", *words, "--method", "wanda", "--save", str(saved))
    assert call("prune", *words, "--method", "magnitude", "--save", str(saved)).exit_code == 0
    record = json.loads((saved / "prunescope.json").read_text())
    assert (record["spec"]["method"]["name"], record["resumed_blocks"]) == ("magnitude", 0)


def test_a_damaged_list_of_finished_runs_holds_none(prunescope_home):
    sweep = SweepResults((), ())
    (prunescope_home / "unfinished").mkdir(parents=True)
    file = prunescope_home / "unfinished" / f"{hashlib.sha256(b'').hexdigest()}.json"
    file.write_text('{"runs": [{"spec"')
    assert sweep.read() == []
    assert not file.exists()
    sweep.write(())
    assert json.loads(file.read_text()) == {"runs": []}


@pytest.mark.parametrize("output", [[], pytest.param(["--json", "-"], marks=pytest.mark.long)])
def test_a_sweep_without_a_file_goes_on_after_its_finished_runs(words, prunescope_home, output):
    asked = ["sweep", *words, "--methods", "magnitude,wanda,sparsegpt", *output]
    killed(KILLED + "import core.cli.interrupted as kept\nreal = kept.SweepResults.write\n"
           "def write(self, results):\n    real(self, results)\n    if len(results) == 2: die()\nkept.SweepResults.write = write\n", *asked)
    done = call(*asked)
    assert done.exit_code == 0, done.output
    assert "Continuing: an earlier command has finished 2 runs of this sweep" in done.output
    assert all(name in done.output.lower() for name in ("magnitude", "wanda", "sparsegpt"))
    assert list((prunescope_home / "unfinished").iterdir()) == []
    assert "Continuing" not in call(*asked).output


def test_two_sweeps_into_one_file_both_keep_their_results(words, tmp_path):
    file = tmp_path / "s.json"
    both = [Command("sweep", *words, "--json", str(file), "--methods", methods) for methods in ("wanda,magnitude", "sparsegpt,dsnot")]
    for process in both:
        _, said = process.end()
        assert process.returncode == 0, said
    found = sorted(run["spec"]["method"]["name"] for run in json.loads(file.read_text())["runs"])
    assert found == ["dsnot", "magnitude", "sparsegpt", "wanda"]


def test_one_table_is_written_by_one_sweep(words, tmp_path):
    sweep = ["sweep", *words, "--methods", "wanda", "--csv", str(tmp_path / "s.csv")]
    first = Command(*sweep, code=SLOW + "def write(*given):\n    pathlib.Path(sys.argv[-1] + '.ready').touch()\n    time.sleep(60)\n"
                                      "files.TensorFiles.write = write\n")
    while not (tmp_path / "s.csv.ready").exists():
        assert first.returncode is None, first.end()
        time.sleep(0.05)
    refused = call(*sweep)
    assert refused.exit_code == 2
    assert "no other sweep is writing" in refused.output
    same_run = call("sweep", *words, "--methods", "wanda")  # the very same run beside it: computed, with nothing shared
    assert same_run.exit_code == 0, same_run.output
    assert "computing this very run" in same_run.output
    first.kill()
    first.end()
    assert call(*sweep).exit_code == 0


def test_a_full_disk_is_told_once_and_the_run_goes_on(words, monkeypatch, prunescope_home):
    monkeypatch.setattr("core.run.block_files.free_bytes", lambda folder: 0)
    done = call("prune", *words, "--method", "wanda")
    assert done.exit_code == 0, done.output
    assert done.output.count("This run goes on") == 1


def test_what_was_interrupted_a_week_ago_is_forgotten(words, prunescope_home):
    old, young = (prunescope_home / "unfinished" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        folder.with_suffix(".json").write_text("{}")
    for path in (old, old.with_suffix(".json")):
        os.utime(path, (1, time.time() - FORGOTTEN - 60))
    assert call("prune", *words, "--method", "wanda").exit_code == 0
    assert [path.exists() for path in (old, old.with_suffix(".json"), young, young.with_suffix(".json"))] == [False, False, True, True]
