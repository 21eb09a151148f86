"""The plan says beforehand what the run then does."""

import pytest

from core.models.cost import Shape, count_work
from core.models.device import choose_device
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput
from tests.core.families import save_family

SMALL = {"calibration": Calibration(windows=4, length=48), "evaluation": Evaluation(windows=2, length=40)}


@pytest.mark.parametrize(("pattern", "alpha"), [("0.5", 0.0), ("0.5", 0.1), ("3:7", 0.0), ("columns:0.3", 0.1)])
@pytest.mark.parametrize("family", ["llama", "opt", "gpt2"])
def test_plan_counts_what_the_run_prunes(family, pattern, alpha, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    text = f"windows:{save_family(family, tmp_path) / 'windows.npy'}"
    spec = RunSpec(model=family, method=make_method("magnitude"), pattern=parse_pattern(pattern, alpha=alpha),
                   calibration=Calibration(source=text, windows=2), evaluation=Evaluation(source=text, windows=2))
    planned = plan(spec)
    *_, last = prune(spec)
    result = last.result
    ran = {layer.name: layer for layer in result.layers}  # in the order in which a block's forward reads them
    assert sorted(ran) == sorted(layer.name for layer in planned.layers)
    assert planned.sparsity == pytest.approx(result.counted_sparsity, abs=1e-5)  # dense weights may hold a few zeros
    for before in planned.layers:
        after = ran[before.name]
        assert (before.rows, before.columns) == after.shape
        assert (before.dense_rows, before.dense_columns) == (after.dense_rows, after.dense_columns)
        assert before.pruned / before.parameters == pytest.approx(after.counted_sparsity, abs=1e-4)


def test_plan_of_the_demo():
    planned = plan(RunSpec())
    assert (planned.blocks, planned.context, planned.family, len(planned.layers)) == (6, 512, "llama", 42)
    assert planned.prunable == 4_743_168
    assert planned.parameters == planned.prunable + 4096 * 256 + 13 * 256
    assert planned.seconds > 0
    assert 0.5e9 < planned.memory_bytes < 5e9
    assert planned.disk_bytes == 4 * planned.prunable


def test_more_work_takes_longer_and_more_memory():
    small, large = plan(RunSpec(**SMALL)), plan(RunSpec(calibration=Calibration(windows=2000)))
    assert large.seconds > small.seconds
    assert large.memory_bytes > small.memory_bytes


def test_fisher_weighting_is_planned():
    calibration = Calibration(windows=4, length=64)
    usual, weighed = (plan(RunSpec(calibration=calibration, fisher=strength)) for strength in (0.0, 0.5))
    assert weighed.memory_bytes >= usual.memory_bytes
    shape = Shape(groups=((256, (256, 64)), (688, (256,))), hidden=256, vocabulary=2048)
    counts = [count_work(shape, RunSpec(fisher=strength), calibration_tokens=tokens, evaluation_tokens=1000, window=256)
              for strength, tokens in ((0.5, 4096), (0.5, 8192), (0.5, 65536), (0.0, 8192))]
    assert counts[0].weigh * 2 == counts[1].weigh == counts[2].weigh > 0
    assert counts[3].weigh == 0
    assert counts[1].total - counts[3].total == pytest.approx(counts[1].weigh)
    alone, together = (count_work(shape, RunSpec(method=make_method("frontier"), fisher=strength), calibration_tokens=8192,
                                  evaluation_tokens=1000, window=256) for strength in (0.0, 0.5))
    assert together.weigh - counts[1].weigh == 8192 * (256**2 + 64**2 + 256**2), "all pairs of outputs"
    assert 1.2 * alone.solve < together.solve < 4 * alone.solve
    assert plan(RunSpec(calibration=calibration, method=make_method("frontier"), fisher=0.5)).memory_bytes > weighed.memory_bytes


def test_error_propagation_keeps_the_dense_models_activations_too():
    calibration = Calibration(windows=10, length=100)
    usual, corrected = (plan(RunSpec(calibration=calibration, propagation=strength)) for strength in (0.0, 0.5))
    assert corrected.memory_bytes - usual.memory_bytes == 10 * 100 * 256 * 4


@pytest.mark.parametrize(("spec", "words"), [
    (RunSpec(pattern=parse_pattern("1:300")), r"m: 300 .* 1 to 256.*q_proj, 256×256"),
    (RunSpec(calibration=Calibration(length=513)), "calibration_length: 513 .* 2 to 512"),
    (RunSpec(model="no/such"), "model: 'no/such'"),
])
def test_what_cannot_be_is_said_before_a_run(spec, words, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=words):
        plan(spec)


def test_a_gpu_that_is_not_there():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(BadInput, match="device: 'cuda'"):
        choose_device("cuda")


def test_windows_of_the_text_are_counted_and_a_large_one_is_not_tokenized_for_a_plan(tmp_path, monkeypatch):
    text = tmp_path / "a.txt"
    text.write_text("It is said once more. " * 4000)
    spec = RunSpec(evaluation=Evaluation(source=f"text:{text}", length=64))
    counted = plan(spec).evaluation
    windows = int(counted.partition(" ")[0])
    monkeypatch.setattr("core.run.planning.SEEN_WHOLE", 10)
    monkeypatch.setattr("core.run.planning.evaluation_windows", None)
    guessed = int(plan(spec).evaluation.partition(" ")[0])
    assert windows / 3 < guessed < 3 * windows
    assert windows not in (64, 150)
    few = spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"windows": 3})})
    assert plan(few).evaluation == "3 windows of 64 tokens"
