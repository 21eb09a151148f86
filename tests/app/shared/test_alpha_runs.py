"""Finished runs along α: which are found, which are missing, and that they have the word where a preview cannot tell."""

import pytest

from app.shared import alpha_runs, alpha_sweep, numbers, resources
from app.shared.charts.alpha_effect import alpha_effect
from app.shared.findings.alpha_effect import effect_finding
from core.spec import RunSpec, make_method, parse_pattern

pytestmark = pytest.mark.usefixtures("prunescope_home")
SEEDS = tuple(range(alpha_sweep.SEEDS))


@pytest.fixture(autouse=True)
def _close():
    yield
    resources.close()


def asked(method="thanos", pattern="columns:0.3", alpha=0.1, **more):
    return RunSpec(method=make_method(method), pattern=parse_pattern(pattern, alpha=alpha, **more))


def test_the_shipped_runs_settle_what_four_windows_cannot():
    spec = asked()
    runs = alpha_runs.look(spec, 0.1, SEEDS)
    assert not runs.missing
    assert not runs.active
    assert {reading.seed for reading in runs.readings if reading.kept == "random"} == set(SEEDS)
    effect, random = (alpha_sweep.difference(runs.readings, kept, 0.1) for kept in ("chosen", "random"))
    assert effect.percent == pytest.approx(-1.3, abs=0.1)
    assert random.percent > 3 * random.noise_percent
    told = effect_finding(runs.readings, 0.1, "perplexity", numbers.perplexity, runs=True)
    assert told.startswith("Finished runs: at α = 0.1 perplexity falls by 1.3 %")
    assert "Lower in 3 of 3 calibration seeds." in told


def test_what_is_missing_is_the_pair_and_its_control_at_equal_sparsity():
    missing = alpha_runs.look(asked("wanda"), 0.1, (0,)).missing  # α = 0 is shipped
    assert [(one.pattern.outlier_rows, one.random_rows) for one in missing] == [(0.1, None), (0.1, 0), (0.1, 1), (0.1, 2)]
    weights = asked("wanda", "0.6", alpha_budget="paper")
    assert {one.pattern.budget for one in alpha_runs.look(weights, 0.1, (0,)).missing if one.pattern.outlier_rows} == {"iso"}
    groups = asked("wanda", "2:4", alpha_budget="paper")  # no n′:4 keeps the total at α = 0.1
    assert {one.pattern.budget for one in alpha_runs.look(groups, 0.1, (0,)).missing if one.pattern.outlier_rows} == {"paper"}


def test_another_method_block_size_or_option_has_runs_of_its_own():
    assert not alpha_runs.look(asked().model_copy(update={"refit": True}), 0.1, (0,)).readings
    assert not alpha_runs.look(asked().model_copy(update={"method": make_method("thanos", block_size=16)}), 0.1, (0,)).readings


def test_finished_runs_stand_in_the_chart_with_their_own_values():
    runs = alpha_runs.look(asked(), 0.1, (0,)).readings
    figure = alpha_effect([], 0.1, title="perplexity", show=numbers.perplexity, labels=("strongest", "other"), runs=runs)
    marks = {trace.marker.color: trace for trace in figure.data if trace.marker.symbol == "diamond"}
    assert sum(bool(trace.showlegend) for trace in marks.values()) == 1
    for kept in ("chosen", "random"):
        spots = alpha_sweep.curve(runs, kept)
        assert any(list(trace.y) == [spot.mean for spot in spots] for trace in marks.values())
