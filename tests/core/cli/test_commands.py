"""The command line, as a person calls it."""

import csv
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import core.cli
from core.cli.commands import app
from core.data.places import default_home
from core.records import RunResult
from core.run import one_layer, pipeline
from core.spec import METHODS
from core.spec.errors import BadInput
from core.spec.flags import run_words
from tests.core.families import save_family

# More tokens than inputs: on a singular Gram matrix the optimum of every layer takes four times as long.
SMALL = ["--windows", "16", "--length", "64", "--evaluation-windows", "2", "--evaluation-length", "40"]


def call(*words: str):
    return CliRunner().invoke(app, list(words))


def test_prune_writes_one_json_object():
    done = call("prune", "--method", "wanda", "--pattern", "2:4", "--alpha", "0.1", "--json", "-", *SMALL)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"spec", "dense", "pruned", "counted_sparsity", "layers", "seconds", "peak_memory_bytes", "environment"} <= set(found)
    assert found["counted_sparsity"] == pytest.approx(0.45, abs=0.002)
    assert found["pruned"]["perplexity"] > 1
    assert {"name", "shape", "counted_sparsity", "relative_error", "optimum_error", "seconds"} <= set(found["layers"][0])
    assert RunResult.model_validate(found).spec.method.name == "wanda"


def test_prune_saves_a_model_that_evaluates_to_the_same(tmp_path, monkeypatch):
    done = call("prune", "--pattern", "0.6", "--save", str(tmp_path / "saved"), "--json", str(tmp_path / "run.json"), *SMALL)
    assert done.exit_code == 0, done.output
    assert "counted sparsity  60.0 %" in done.stdout
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    again = call("evaluate", "--model", "saved", "--json", "-", *SMALL[4:])
    expected = json.loads((tmp_path / "run.json").read_text())["pruned"]["perplexity"]
    assert json.loads(again.stdout)["perplexity"] == pytest.approx(expected, rel=1e-3)  # kept weights are rounded to fp16
    refused = call("prune", "--save", str(tmp_path / "saved"), *SMALL)
    assert refused.exit_code == 2
    assert "empty" in refused.output


def test_sweep_is_a_grid_that_continues(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    text = f"windows:{save_family('llama', tmp_path) / 'windows.npy'}"
    words = ["sweep", "--model", "llama", "--methods", "wanda,thanos", "--patterns", "0.5,2:4", "--json", str(tmp_path / "s.json"),
             "--csv", str(tmp_path / "s.csv"), "--calibration", text, "--evaluation", text, "--windows", "8"]
    assert call(*words, "--block-sizes", "8").exit_code == 0
    first = json.loads((tmp_path / "s.json").read_text())["runs"]
    assert [(run["spec"]["method"]["name"], run["spec"]["method"].get("block_size")) for run in first] == [
        ("wanda", None), ("wanda", None), ("thanos", 8), ("thanos", 8)]
    done = call(*words, "--block-sizes", "8,16")
    assert done.exit_code == 0, done.output
    runs = json.loads((tmp_path / "s.json").read_text())["runs"]
    assert len(runs) == 6
    old = {json.dumps(run["spec"]): run["seconds"] for run in first}
    assert all(run["seconds"] == old[json.dumps(run["spec"])] for run in runs if json.dumps(run["spec"]) in old)
    assert len(list(csv.reader((tmp_path / "s.csv").open()))) == 7


@pytest.fixture
def family(tmp_path, monkeypatch):
    """The words of a small model and its text."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    text = f"windows:{save_family('llama', tmp_path) / 'windows.npy'}"
    return ["--model", "llama", "--calibration", text, "--evaluation", text]


def test_a_result_is_written_though_nobody_reads_the_screen(family, tmp_path, monkeypatch):
    """`prune … | head`: the reader of the pipe has gone when the result is shown."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as unread:
        monkeypatch.setattr("sys.stdout", unread)
        app(["prune", *family, "--method", "magnitude", "--windows", "8", "--json", str(tmp_path / "run.json"), "--save",
             str(tmp_path / "saved")], standalone_mode=False)
    assert RunResult.model_validate_json((tmp_path / "run.json").read_text()).spec.method.name == "magnitude"
    assert (tmp_path / "saved" / "config.json").is_file()


def test_all_commands_show_what_they_say_on_a_screen():
    folder = Path(core.cli.__file__).parent
    own = [file.name for file in folder.glob("*.py") if "rich.console" in file.read_text(encoding="utf-8")]
    assert own == ["screen.py"]


def names(file) -> list[str]:
    return [run["spec"]["method"]["name"] for run in json.loads(file.read_text())["runs"]]


def test_a_run_that_fails_does_not_end_a_sweep(family, tmp_path):
    """One window of 16 tokens for 32 inputs: without damping Thanos has nothing to factor."""
    done = call("sweep", *family, "--windows", "1", "--damping", "0", "--methods", "wanda,thanos,magnitude",
                "--json", str(tmp_path / "s.json"))
    assert done.exit_code == 2
    assert names(tmp_path / "s.json") == ["wanda", "magnitude"]
    assert "Thanos" in done.output
    assert "positive definite" in done.output
    assert "1 of 3 runs failed" in done.output
    assert "Magnitude" in done.stdout, "the table of what is done"


def test_a_sweep_loses_no_run_of_its_file(family, tmp_path, monkeypatch):
    """Another grid, which is stopped when its runs with another text begin."""
    words = ["sweep", *family, "--windows", "8", "--json", str(tmp_path / "s.json")]
    assert call(*words, "--methods", "wanda,magnitude").exit_code == 0
    real = one_layer.solve_for_run
    monkeypatch.setattr(one_layer, "solve_for_run",
                        lambda problem, spec, *rest: stopped() if spec.calibration.seed else real(problem, spec, *rest))
    done = call(*words, "--methods", "dsnot,wanda", "--seeds", "0,1")
    assert done.exit_code != 0
    assert sorted(names(tmp_path / "s.json")) == ["dsnot", "magnitude", "wanda"]
    assert "DSnoT" in done.stdout


def test_a_run_that_fails_among_others_goes_on_where_it_was(family, tmp_path, monkeypatch):
    """Its finished blocks are kept, those of finished runs are not, and the next sweep needs only what was left."""
    real, solved = one_layer.solve_for_run, list[str]()

    def failing(problem, spec, *rest):
        if spec.method.name == "sparsegpt" and ".1." in problem.name:
            raise BadInput("damping", "0.01", "more", "Raise it.")
        return real(problem, spec, *rest)

    monkeypatch.setattr(one_layer, "solve_for_run", failing)
    words = ["sweep", *family, "--windows", "8", "--methods", "magnitude,sparsegpt,wanda", "--json", str(tmp_path / "s.json")]
    done = call(*words)
    assert done.exit_code == 2
    assert "Raise it." in done.output
    assert names(tmp_path / "s.json") == ["magnitude", "wanda"]
    assert len([folder for folder in (default_home() / "unfinished").iterdir() if folder.is_dir()]) == 1
    monkeypatch.setattr(one_layer, "solve_for_run", lambda problem, *rest: solved.append(problem.name) or real(problem, *rest))
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert "1 block of this run" in done.output
    assert names(tmp_path / "s.json") == ["magnitude", "sparsegpt", "wanda"]
    assert solved
    assert all(".1." in name for name in solved)


def test_runs_that_do_not_fit_into_memory_together_are_made_one_by_one(family, tmp_path, monkeypatch):
    real = pipeline.prune_together

    def full(specs, **options):
        if len(specs) > 1:
            raise BadInput("memory", "too little", "more", "Ask for less.")
        return real(specs, **options)

    monkeypatch.setattr(pipeline, "prune_together", full)
    done = call("sweep", *family, "--windows", "8", "--methods", "magnitude,wanda", "--json", str(tmp_path / "s.json"))
    assert done.exit_code == 0, done.output
    assert "one by one" in done.output
    assert names(tmp_path / "s.json") == ["magnitude", "wanda"]


def stopped():
    raise KeyboardInterrupt


def test_a_sweep_on_standard_output_is_one_json_object(family):
    done = call("sweep", *family, "--windows", "8", "--methods", "wanda,magnitude", "--json", "-")
    assert done.exit_code == 0, done.output
    assert [run["spec"]["method"]["name"] for run in json.loads(done.stdout)["runs"]] == ["wanda", "magnitude"]


def test_a_device_is_written_to_and_a_link_stays_a_link(family, tmp_path):
    """A renamed file in their place would take /dev/null from the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "there").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "there" / "real.csv")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    done = call("sweep", *family, "--windows", "8", "--methods", "wanda",
                "--json", str(tmp_path / "pipe"), "--csv", str(tmp_path / "link.csv"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "pipe").is_fifo()
    assert os.read(reader, 9).startswith(b'{\n "runs"')
    os.close(reader)
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "there" / "real.csv").read_text().splitlines()) == 2


def test_a_combination_without_a_meaning_is_left_out_and_a_word_without_one_refused(family):
    few = [*family, "--windows", "8"]
    done = call("sweep", *few, "--methods", "wanda,dsnot", "--patterns", "0.5,columns:0.25")
    assert done.exit_code == 0, done.output
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:] if line.strip()] == [
        ["Wanda", "0.5"], ["Wanda", "columns:0.25"], ["DSnoT", "0.5"]]
    assert "Left out: pattern: 'columns:0.25' cannot be used" in done.output
    for words, field in ((["--methods", "wanda,wandaa"], "method"), (["--methods", "dsnot", "--patterns", "columns:0.25"], "pattern"),
                         (["--methods", ""], "methods"), (["--alphas", ","], "alphas"), (["--patterns", "0.5,0.5:"], "pattern")):
        done = call("sweep", *few, *words)
        assert done.exit_code == 2, words
        assert f"Error: {field}: " in done.output


def test_sweep_does_not_overwrite_another_file(tmp_path):
    (tmp_path / "other.json").write_text('{"mine": 1}')
    done = call("sweep", "--json", str(tmp_path / "other.json"), *SMALL)
    assert done.exit_code == 2
    assert (tmp_path / "other.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize("words", [
    ("prune", "--json", "{}/none/run.json"), ("prune", "--json", "{}"), ("evaluate", "--json", "{}/none/run.json"),
    ("prune", "--save", "{}/file/model"), ("sweep", "--json", "{}/none/s.json"), ("sweep", "--csv", "{}/none/s.csv"),
    ("sweep", "--csv", "-")])
def test_what_could_not_be_written_is_said_before_anything_is_computed(words, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("core.run.pipeline.open_model", None)
    monkeypatch.setattr("core.run.evaluation.load_placed", None)
    command, flag, file = words
    done = call(command, flag, file.format(tmp_path), *SMALL[4 if command == "evaluate" else 0 :])
    assert done.exit_code == 2, done.exception
    assert f"Error: {flag.removeprefix('--')}: " in done.output


def test_listings():
    methods = call("methods").stdout
    assert all(name in methods for name in METHODS)
    assert "demo" in call("models").stdout


def test_every_word_is_a_documented_flag():
    text = call("prune", "--help").stdout
    assert all(f"--{word.replace('_', '-')}" in text for word in run_words())


@pytest.mark.parametrize(("words", "said"), [
    (["--pattern", "1.5"], "less than 1"), (["--pattern", "-0.1"], "at least 0"), (["--pattern", "5:4"], "0 to m = 4"),
    (["--pattern", "half"], "0.5 or 50%"), (["--block-size", "0"], "at least 1"), (["--alpha", "1"], "less than 1"),
    (["--pattern", "columns:0.9", "--alpha", "0.2"], "lower α or p"), (["--method", "best"], "magnitude, wanda"),
    (["--model", "../x"], "a folder that exists"), (["--model", "nothing"], "model: 'nothing'"), (["--length", "4096"], "2 to 512"),
    (["--calibration", "text:/no/file"], "a file that exists"), (["--method", "wanda", "--block-size", "8"], "a method that has it"),
    (["--pattern", "2:4", "--alpha", "0.1", "--alpha-budget", "iso"], "45.0 % counted"), (["--windows", "99999"], "Use fewer"),
])
def test_bad_input_is_said_and_ends_with_status_2(words, said):
    done = call("prune", *words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_size_and_speed_are_counted_and_measured(tmp_path):
    small = ["--batch-sizes", "1,2", "--prompt-tokens", "8", "--new-tokens", "2"]
    done = call("prune", "--method", "magnitude", "--pattern", "2:4", "--speed", *small, "--json", str(tmp_path / "r.json"), *SMALL)
    assert done.exit_code == 0, done.output
    assert "42 of 42 layers fit" in done.stdout.replace("\n", " ")
    found = RunResult.model_validate_json((tmp_path / "r.json").read_text())
    assert found.size.zeros == sum(round(layer.counted_sparsity * layer.parameters) for layer in found.layers)
    assert [set(point.prefill) for point in found.speed.points] == [{"dense", "pruned"}] * 2
    alone = call("evaluate", "--speed", *small, "--json", "-", *SMALL[4:])
    assert alone.exit_code == 0, alone.output
    assert {"perplexity", "size", "speed"} <= set(json.loads(alone.stdout))
    refused = call("evaluate", "--batch-sizes", "2")
    assert refused.exit_code == 2
    assert "without --speed" in refused.output
