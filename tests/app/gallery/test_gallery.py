"""What is shipped is what this code computes."""

import pytest

from app.gallery.__main__ import FOLDER, FULL, file_name, known, main, wanted
from app.gallery.compute import compute
from app.shared import resources
from app.shared.shipped import POINTS
from app.shared.sweeps.points import Point, point_of, read_points
from core.run.revisions import revisions
from core.spec import METHODS, RunSpec

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
    old = {point.spec.title for point in shipped.values() if point.revisions.method != METHODS[point.spec.method.name].version}
    assert not old, "python -m app.gallery --missing computes them anew"


def test_the_dense_model_is_one(shipped):
    values = {point.dense.perplexity for point in shipped.values()}
    assert max(values) - min(values) < 1e-3 * min(values)


def test_a_method_that_is_not_asked_for_is_left_alone(capsys):
    before = {file: file.read_bytes() for file in FOLDER.iterdir() if file.is_file()}
    main(["--only", "none", "--missing"])
    assert {file: file.read_bytes() for file in FOLDER.iterdir() if file.is_file()} == before
    assert not capsys.readouterr().out
