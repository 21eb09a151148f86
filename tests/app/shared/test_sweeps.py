"""Sweeps: the grid holds what has a meaning, and the commands compute exactly the grid."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.shared.sweeps.grid import SHOWN_METHODS, Sweep, shipped
from app.shared.sweeps.points import ground, matching, point_of, read_points, write_points
from core.cli import commands as main
from core.cli.sweeps import grid
from core.records import Revisions
from core.spec import METHODS, Calibration, Evaluation, RunSpec
from core.spec.errors import PruneError
from tests.app.examples import point, result

ALL = tuple(METHODS)


def computed_by(command):
    """The specs that a command line asks for, as the command line itself reads it; nothing is computed."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "core"]
    found = []

    def read(given, **lists):
        found.extend(grid(given, **lists))
        raise PruneError("read, and that is all")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "grid", read)
        done = CliRunner().invoke(main.app, words[3:])
    assert "and that is all" in done.output
    return found


def assert_reproduces(sweep):
    found = [spec for command in sweep.commands() for spec in computed_by(command)]
    assert set(found) == set(sweep.grid().specs)
    return found


@pytest.mark.parametrize("sweep", [
    *shipped(),
    Sweep(methods=ALL, patterns=("0.3", "2:4", "columns:0.2"), seeds=(0, 3)),
    Sweep(methods=("thanos", "wanda"), patterns=("0.5", "columns:0.3"), alphas=(0.0, 0.1, 0.6), budgets=("iso", "paper")),
    Sweep(methods=("thanos",), patterns=("2:4", "1:4"), alphas=(0.0, 0.1, 0.5), budgets=("iso",)),
    Sweep(methods=("sparsegpt", "magnitude"), block_sizes=(None, 8, 77), base=RunSpec(
        refit=True, device="cpu", calibration=Calibration(windows=4, length=32, source="text:a b.txt"), evaluation=Evaluation(windows=3))),
], ids=str)
def test_the_commands_compute_exactly_the_grid(sweep):
    found = assert_reproduces(sweep)
    assert len(found) == len(set(found)), "no run twice"


@settings(max_examples=15)
@given(st.data())
def test_the_commands_compute_exactly_any_grid(data):
    def some(values):
        return tuple(data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)))

    patterns = some(("0", "0.5", "0.9", "2:4", "1:4", "columns:0.3"))
    assert_reproduces(Sweep(methods=some(ALL), patterns=patterns, alphas=some((0.0, 0.1, 0.5)), budgets=some(("paper", "iso")),
                            block_sizes=some((None, 8, 128)), seeds=some((0, 1))))


def test_what_has_no_meaning_is_left_out_with_the_reason():
    found = Sweep(patterns=("0.5",), alphas=(0.0, 0.6), budgets=("iso",)).grid()
    assert len(found.specs) == 1
    assert "lower α or p" in found.refused[0]
    assert not Sweep(patterns=("0.5",), alphas=(0.6,), budgets=("iso",)).commands()


def test_without_outlier_rows_both_budgets_are_one_run():
    assert len(Sweep(alphas=(0.0, 0.1), budgets=("paper", "iso"), seeds=(0, 1)).grid().specs) == 6
    assert len(Sweep(patterns=("columns:0.3",), alphas=(0.1,), budgets=("paper", "iso")).grid().specs) == 1


def test_points_of_one_chart_agree_in_all_but_method_pattern_seed_and_device():
    today = Revisions(model="m", calibration="c", evaluation="e", method=1, core=1)
    same = [point("wanda"), point("thanos", "2:4", seed=3), point("sparsegpt", parameters={"block_size": 8})]
    other = [point(refit=True), point(calibration=Calibration(windows=3)), point(evaluation=Evaluation(windows=3)),
             point(dtype="bfloat16")]
    assert matching([*same, *other], RunSpec(device="cpu"), today).points == tuple(same)
    assert ground(same[1].spec) == ground(RunSpec(device="cpu"))


def test_points_with_other_contents_behind_the_same_names_are_counted_not_shown():
    today = Revisions(model="m", calibration="c", evaluation="e", method=1, core=1)
    elsewhere = [point(word, revisions={"evaluation": "another"}) for word in ("wanda", "thanos")]
    old = point("thanos", revisions={"method": METHODS["thanos"].version + 1})
    found = matching([*elsewhere, point("wanda"), old], RunSpec(), today)
    assert (found.points, found.elsewhere, found.outdated, found.foreign) == ((point("wanda"),), 2, 1, False)
    alone = matching(elsewhere, RunSpec(), today)
    assert (len(alone.points), alone.foreign) == (2, True)
    assert not matching(elsewhere, RunSpec(), None).foreign, "a model that is not here any more is no contradiction"


def test_the_first_of_two_of_the_same_run_counts_on_each_machine():
    stored, shipped_one = point(key="a" * 64), point()
    gpu = point(device="GPU")
    assert matching([stored, shipped_one, gpu], RunSpec(), None).points == (stored, gpu)


def test_a_point_is_its_result_without_layers(tmp_path):
    made = point_of(result(), "k")
    assert made.pruned.perplexity == 15.59
    assert made.median_error == pytest.approx(0.03)
    assert made.solve_seconds == 2.0
    write_points(tmp_path / "p.jsonl", [made, made])
    (tmp_path / "p.jsonl").open("a").write("{}\n")
    assert read_points(tmp_path / "p.jsonl") == (made, made)
    assert read_points(tmp_path / "none.jsonl") == ()


def test_the_default_chart_is_what_is_shipped():
    first = Sweep(methods=SHOWN_METHODS, patterns=("0.5", "2:4", "columns:0.3"))
    wanted = {spec for sweep in shipped() for spec in sweep.grid().specs}
    assert set(first.grid().specs) <= wanted
