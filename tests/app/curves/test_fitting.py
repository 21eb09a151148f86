"""Runs that a model cannot have are left out before they are asked for, with the reason."""

from __future__ import annotations

from types import SimpleNamespace

from app.curves import fitting, guided_query
from app.curves.query import read, write
from app.shared.sweeps.grid import FITTING_PATTERNS, SHAPE_METHODS, Sweep
from app.workers.plans import Planning
from core.spec import RunSpec, parse_pattern


def test_patterns_that_the_plan_refuses_are_left_out_with_one_reason(monkeypatch):
    def plan(spec):
        word = spec.pattern.word
        failed = Planning(state="failed", error="No heads here.", refused=True)
        return failed if word.startswith("heads") else Planning(state="computing" if word == "blocks:0.3" else "ready")

    monkeypatch.setattr(fitting.resources, "jobs", lambda: SimpleNamespace(plan=plan))
    missing = Sweep(methods=SHAPE_METHODS, patterns=FITTING_PATTERNS, fitting=True).grid().specs
    found = fitting.fitting(missing)
    assert len(found.specs) == len(missing) - 2
    assert not [spec for spec in found.specs if spec.pattern.kind == "heads"]
    assert (found.reasons, found.planning) == (("No heads here.",), True)
    lost = Planning(state="failed", error="The scheduler was lost.")
    monkeypatch.setattr(fitting.resources, "jobs", lambda: SimpleNamespace(plan=lambda spec: lost))
    assert fitting.fitting(missing).specs == missing, "for want of workers nothing is refused"


def test_the_shares_of_any_model_take_something_of_small_and_of_large_ones():
    for blocks in (4, 5, 12, 32, 80):
        counts = [parse_pattern(word).number(blocks) for word in FITTING_PATTERNS if word.startswith("blocks")]
        assert 0 < counts[0] <= counts[1] <= counts[2] <= blocks / 2
    for heads in (2, 4, 12, 32):
        assert all(0 < parse_pattern(word).left(heads) < heads for word in FITTING_PATTERNS if word.startswith("heads"))


def test_a_link_says_how_blocks_are_chosen_per_input():
    asked, notes = read({"tab": "shapes", "score": "left-out", "most": "3", "clusters": "8", "decide_on": "16"})
    assert (notes, asked.guided.score, asked.guided.guide.clusters) == ((), "left-out", 8)
    assert write(asked) == {"tab": "shapes", "score": "left-out", "most": "3", "clusters": "8", "decide_on": "16"}
    spec = asked.guided.spec(RunSpec(propagation=0.5, skip="0.*"))
    assert (spec.pattern.word, spec.method.name, spec.propagation, spec.skip) == ("blocks:3", "left-out", 0, "0.*")
    worse, notes = read({"tab": "shapes", "clusters": "0", "score": "thanos"})
    assert worse.guided == guided_query.Guided()
    assert len(notes) == 2
