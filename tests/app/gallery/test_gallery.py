"""What is shipped is what this code computes."""

import pytest

from app.gallery import __main__ as gallery
from app.gallery.__main__ import FOLDER, FULL, SCORED, SCORED_METHODS, TIMED, file_name, keep, known, main, scored, wanted
from app.gallery.compute import compute
from app.shared import resources
from app.shared.shipped import POINTS
from app.shared.sweeps.points import Point, point_of, read_points
from core.evaluate.embedded_task import NAME
from core.run.revisions import revisions
from core.spec import EVERY_METHOD, RunSpec

# Other processors and other threads sum in another order: masks differ in a few entries, and all that follows a little.
PERPLEXITY = 0.003
ERROR = 0.02
AGAIN = (RunSpec(),)


@pytest.fixture(scope="module")
def shipped() -> dict[RunSpec, Point]:
    return {point.spec: point for point in (*map(point_of, known().values()), *read_points(POINTS))}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("spec", AGAIN, ids=lambda spec: spec.title)
@pytest.mark.long
def test_shipped_points_are_what_this_code_computes(shipped, spec):
    there = shipped[spec]
    if there.revisions != revisions(spec):
        pytest.skip("shipped with the texts of another Python: their numbers cannot be the same")
    made = point_of(compute(spec, there.revisions, there.dense))
    assert made.pruned.perplexity == pytest.approx(there.pruned.perplexity, rel=PERPLEXITY)
    assert made.median_error == pytest.approx(there.median_error, rel=ERROR)
    assert made.counted_sparsity == there.counted_sparsity


def test_every_shipped_file_can_be_read_and_is_wanted(shipped):
    assert set(shipped) <= set(wanted())
    assert set(FULL) <= set(known())
    assert len(read_points(POINTS)) == len(POINTS.read_text().splitlines())
    assert len(resources.gallery()) == len(FULL)
    assert all(FOLDER.joinpath(file_name(spec)).exists() for spec in FULL)


def test_all_of_it_stays_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 2_000_000


def test_nothing_shipped_is_of_an_earlier_version(shipped):
    old = {point.spec.title for point in shipped.values() if point.revisions.method != EVERY_METHOD[point.spec.method.name].version}
    assert not old, "python -m app.gallery --missing computes them anew"


def test_the_dense_model_is_one(shipped):
    values = {point.dense.perplexity for point in shipped.values()}
    assert max(values) - min(values) < 1e-3 * min(values)


def test_a_method_that_is_not_asked_for_is_left_alone(capsys):
    before = {file: file.read_bytes() for file in FOLDER.iterdir() if file.is_file()}
    main(["--only", "none", "--missing"])
    assert {file: file.read_bytes() for file in FOLDER.iterdir() if file.is_file()} == before
    assert not capsys.readouterr().out


def test_five_methods_have_the_tasks_accuracy_and_pruning_costs_it(shipped):
    scores = {result.spec: result.tasks[NAME] for result in scored()}
    assert set(scores) == set(SCORED)
    assert len({(found.content, found.dense.content) for found in scores.values()}) == 1
    dense = next(iter(scores.values())).dense.scores["acc"].value
    assert dense > 0.8
    sparsest = [found for spec, found in scores.items() if spec.pattern.sparsity == 0.7]
    assert len(sparsest) == len(SCORED_METHODS)
    assert all(found.scores["acc"].value < dense for found in sparsest)
    assert all(shipped[result.spec].pruned.perplexity == result.pruned.perplexity for result in scored())


@pytest.mark.parametrize(("times", "kept"), [(1.0001, True), (1.02, False)])
def test_times_stay_where_a_run_comes_to_the_same(monkeypatch, tmp_path, times, kept):
    before = known()[RunSpec()]
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    (tmp_path / file_name(before.spec)).write_text(before.model_dump_json())
    pruned = before.pruned.model_copy(update={"perplexity": before.pruned.perplexity * times})
    keep(before.model_copy(update={"pruned": pruned, "seconds": 999.0}), keep_times=True)
    after = known()[RunSpec()]
    assert after.pruned == pruned
    assert after.seconds == (before.seconds if kept else 999.0)


def test_zeros_and_shapes_have_a_measured_speed_and_only_shapes_are_smaller(shipped):
    assert all(shipped[spec].worth for spec in TIMED)
    for point in (shipped[spec] for spec in TIMED):
        assert bool(point.removed) == point.spec.pattern.shrinks
    folders = {bool(point.removed): point.worth.folder_bytes for point in (shipped[spec] for spec in TIMED)}
    assert folders[True] < folders[False]
