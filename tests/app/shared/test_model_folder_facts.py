"""Notes on a model's folder and the comparison of an export are among the facts of a run."""

from app.shared.findings import facts
from core.records import ExportCheck
from tests.cache.examples import result_of


def test_notes_and_the_exports_comparison_are_told():
    check = ExportCheck(windows=4, perplexity=20.3, run_perplexity=20.0, difference=0.3, rounded=True)
    told = facts.measured(result_of(notes=("The folder's adapter is not applied.",), export=check))
    assert ("Model folder", "The folder's adapter is not applied.") in told
    assert ("Exported model", "opened again, perplexity 20.30 on the first 4 windows, the run's own 20.00: +1.5 % (weights are rounded "
            "to the checkpoint's dtype)") in told
    assert not {"Model folder", "Exported model"} & {name for name, _ in facts.measured(result_of())}


def test_a_difference_of_nothing_is_told_as_that():
    check = ExportCheck(windows=1, perplexity=20.0, run_perplexity=20.00001, difference=-0.00001, rounded=False)
    assert check.words == "opened again, perplexity 20.00 on the first window, the run's own 20.00: the same within 0.001 %"
