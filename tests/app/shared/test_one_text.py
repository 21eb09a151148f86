"""One text for calibration and evaluation is said, in the record's words, on the page and in a report."""

from app.shared.findings import facts
from core.cli import output
from core.records.runs import ONE_TEXT
from tests.cache.examples import REVISIONS, result_of

ONE = REVISIONS.model_copy(update={"evaluation": REVISIONS.calibration})


def test_it_is_a_fact_of_the_result_which_reports_and_pages_list():
    assert ("Caution", ONE_TEXT) in facts.measured(result_of(revisions=ONE))
    assert ONE_TEXT not in str(facts.measured(result_of()))


def test_the_command_line_says_it(capsys):
    output.show(result_of(revisions=ONE))
    assert "caution" in capsys.readouterr().out
    output.show(result_of())
    assert "caution" not in capsys.readouterr().out


def test_the_record_says_it_in_words(tmp_path, monkeypatch):
    import torch

    from core.models.open_model import open_model
    from core.spec import Calibration, Evaluation, RunSpec

    (tmp_path / "a.txt").write_text("A text that is read twice, once for each purpose. " * 60)
    source = f"text:{tmp_path / 'a.txt'}"
    monkeypatch.delenv("PRUNESCOPE_CONFINED", raising=False)
    spec = RunSpec(calibration=Calibration(source=source, windows=2, length=32), evaluation=Evaluation(source=source, length=32))
    assert "the same text as evaluated on" in open_model(spec, torch.device("cpu")).calibration.description
