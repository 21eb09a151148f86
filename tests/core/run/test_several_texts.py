"""Several evaluation texts in one run: each is measured as a run on it alone measures it, and calibration is done once."""

import numpy as np
import pytest

from core.data.places import texts_root
from core.export.folder import MemoryJournal
from core.records import RunResult
from core.run import block_pass
from core.run.evaluation import evaluate_texts
from core.run.pipeline import prune
from core.run.planning import plan
from core.run.revisions import revisions
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.spec.flags import check_words, to_words
from tests.core.families import save_family


def result_of(spec: RunSpec, **options) -> RunResult:
    *_, last = prune(spec, **options)
    return last.result


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A small model with three texts: ready windows of 24 and of 16 tokens."""
    root = tmp_path_factory.mktemp("several")
    folder = save_family("llama", root)
    windows = np.load(folder / "windows.npy")
    np.save(root / "a, b.npy", windows[::-1, :16])
    np.save(root / "c.npy", windows[:, 8:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_TEXTS", str(root))
        patch.setenv("PRUNESCOPE_MODELS", str(root))
        first = f"windows:{folder.name}/windows.npy"
        yield RunSpec(model=folder.name, method=make_method("wanda"), calibration=Calibration(source=first, windows=8),
                      evaluation=Evaluation(source=first, windows=4),
                      further_evaluations=(Evaluation(source="windows:a, b.npy", windows=5), Evaluation(source="windows:c.npy", windows=3)))


@pytest.fixture(scope="module")
def together(several):
    return result_of(several)


def test_each_text_has_the_perplexities_of_a_run_on_it_alone(several, together):
    assert len(together.further_evaluations) == 2
    for spec, found in zip(several.on_each_text, together.on_each_text, strict=True):
        alone = result_of(spec)
        assert found.dense.losses == pytest.approx(alone.dense.losses, abs=2e-6)
        assert found.pruned.losses == pytest.approx(alone.pruned.losses, abs=2e-6)
        assert (found.spec, found.revisions, found.pruned.protocol) == (alone.spec, alone.revisions, alone.pruned.protocol)
    assert RunResult.model_validate_json(together.model_dump_json()) == together


def test_what_is_known_of_the_dense_model_is_not_measured_again(several, together, monkeypatch):
    pushed: list[str] = []
    push = block_pass.BlockPass._push

    def watched(self, *args, what):
        pushed.append(what)
        push(self, *args, what=what)

    monkeypatch.setattr(block_pass.BlockPass, "_push", watched)
    known = [text.dense for text in together.on_each_text]
    again = result_of(several, dense=[known[0], None, known[2]])
    assert {what for what in pushed if what.startswith("dense")} == {"dense model, evaluation text (windows of a, b.npy)"}
    assert [text.dense for text in again.on_each_text] == known
    assert again.further_evaluations == together.further_evaluations


def test_an_interrupted_run_goes_on_with_all_its_texts(several, together):
    journal, events = MemoryJournal(), None
    for event in (events := prune(several, journal=journal)):
        if event.kind == "block":
            break
    events.close()
    resumed = result_of(several, journal=journal)
    assert resumed.resumed_blocks == 1
    assert (resumed.pruned, resumed.further_evaluations) == (together.pruned, together.further_evaluations)


def test_the_dense_model_alone_and_the_plan_know_all_texts(several, together):
    assert [found.losses for found in evaluate_texts(several)] == [
        pytest.approx(text.dense.losses, abs=2e-6) for text in together.on_each_text]
    alone, planned = plan(several.on_each_text[0]), plan(several)
    assert planned.evaluation.endswith("a, b.npy: 5 windows of 16 tokens; windows:c.npy: 3 windows of 16 tokens")
    assert planned.at_rate(1e18).seconds > alone.at_rate(1e18).seconds, "at one rate: that of the moment differs from plan to plan"
    assert planned.memory_bytes >= alone.memory_bytes


def test_a_text_that_changes_is_another_run(several):
    before, file = revisions(several), texts_root() / "a, b.npy"
    content = np.load(file)
    try:
        np.save(file, content + 1)
        after = revisions(several)
    finally:
        np.save(file, content)
    assert [name for name, address in before.addresses.items() if after.addresses[name] != address] == ["evaluation 2"]


def test_words_of_several_texts(several):
    words = to_words(several)
    assert words["further_evaluations"].count(",") == 1, "a comma in a name is no separator"
    assert check_words(words) == (several, ())
    assert to_words(RunSpec()) == {}


@pytest.mark.parametrize(("word", "told"), [
    ("embedded", "each text once"), ("hub:c4:windows=0", "windows at least 1"), ("hub:c4:windows=many", "windows a whole number"),
    ("hub:c4:window=3", "each of windows, length and bos once"), ("nowhere", "embedded, text:FILE"), ("hub:c4,hub:c4", "each text once"),
    (",".join(f"hub:{number}" for number in range(9)), "at most 8"),
])
def test_words_that_cannot_be_used(word, told):
    spec, refused = check_words({"further_evaluations": word})
    assert spec is None
    assert told in " ".join(refused)
