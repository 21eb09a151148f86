"""`--tasks` on evaluate, prune and sweep."""

import json

import pytest
from typer.testing import CliRunner

from core.cli.commands import app
from core.records import RunResult
from tests.core.evaluate.task_files import ROWS, write_task

SMALL = ["--windows", "2", "--length", "64"]
TEXT = ["--evaluation-windows", "2", "--evaluation-length", "40"]


def call(*words: str):
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def asked(stories260k, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    write_task(tmp_path / "tasks", "story", ROWS)
    return ["--tasks", "story", "--task-folder", str(tmp_path / "tasks")]


def test_evaluate_writes_scores_by_task(asked, tmp_path):
    done = call("evaluate", "--model", "stories260K", *TEXT, *asked, "--limit", "2", "--json", str(tmp_path / "e.json"))
    assert done.exit_code == 0, done.output
    assert "not comparable: 2 of 3 examples" in " ".join(done.stdout.split())
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["perplexity"] > 1
    story = found["tasks"]["story"]
    assert story["examples"] == 2
    assert story["acc"] == story["outcomes"]["acc"].count("1") / 2
    assert {"acc_stderr", "acc_norm", "acc_norm_stderr"} <= set(story)


def test_a_sweep_scores_each_run_once(asked, tmp_path):
    words = ["sweep", "--model", "stories260K", "--methods", "magnitude,wanda", *SMALL, *TEXT, "--json", str(tmp_path / "s.json")]
    assert call(*words).exit_code == 0  # without tasks
    done = call(*words, *asked)
    assert done.exit_code == 0, done.output
    runs = [RunResult.model_validate(run) for run in json.loads((tmp_path / "s.json").read_text())["runs"]]
    assert [run.tasks["story"].examples for run in runs] == [3, 3]
    assert runs[0].tasks["story"].dense == runs[1].tasks["story"].dense
    again = call(*words, *asked)
    assert again.exit_code == 0
    assert [RunResult.model_validate(run) for run in json.loads((tmp_path / "s.json").read_text())["runs"]] == runs


def test_what_cannot_be_scored_is_said_before_anything_is_computed(asked, tmp_path):
    done = call("prune", "--model", "stories260K", "--tasks", "stori", "--task-folder", str(tmp_path / "tasks"), "--json",
                str(tmp_path / "p.json"))
    assert done.exit_code == 2
    assert "perhaps story" in " ".join(done.output.split())
    assert not (tmp_path / "p.json").exists()
    assert "Name the tasks" in " ".join(call("evaluate", "--limit", "3").output.split())


@pytest.mark.parametrize("command", ["prune", "evaluate", "sweep"])
def test_a_model_that_memory_does_not_hold_is_not_pruned_for_hours_first(asked, monkeypatch, command):
    monkeypatch.setattr("core.evaluate.measured_model.memory_room", lambda: 10**5)
    monkeypatch.setattr("core.run.pipeline.prune", lambda *_, **__: pytest.fail("a run was begun"))
    monkeypatch.setattr("core.run.evaluation.evaluate_texts", lambda *_, **__: pytest.fail("an evaluation was begun"))
    done = call(command, "--model", "stories260K", *TEXT, *asked)
    assert done.exit_code == 2
    assert "for zero-shot tasks and speed a model that memory holds whole" in " ".join(done.output.split())
    assert "Leave out --tasks and --speed" in " ".join(done.output.split())
