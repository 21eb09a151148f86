"""Input-guided skipping: one cluster is the fixed removal, nothing skipped is the dense model, and windows skip their cluster's blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.evaluate.comparison import compare
from core.linalg.cancellation import cancel_unless
from core.models.blocks import map_blocks
from core.run.evaluation import evaluate
from core.run.input_guided import input_guided
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput, Cancelled
from core.spec.guide import Guide, make_guide
from core.structures.clusters import k_means
from tests.core import families
from tests.core.structures.test_clusters import numpy_nearest

BLOCKS = 4
METHODS = ("influence", "angular", "left-out", "taylor")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small LLaMA of four blocks, whose windows are of two kinds of text."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setattr(families, "FAMILIES", {"llama": {**families.FAMILIES["llama"], "num_hidden_layers": BLOCKS}})
    saved = families.save_family("llama", tmp_path)
    chance = np.random.default_rng(1)
    halves = [chance.integers(3, 40, (20, 24)), chance.integers(50, 96, (20, 24))]
    np.save(saved / "windows.npy", np.stack(halves, 1).reshape(40, 24))  # in turn
    return saved


def spec_of(folder, method="influence", pattern="blocks:2", **changes) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=24), evaluation=Evaluation(source=source, windows=16),
                   method=make_method(method), pattern=parse_pattern(pattern), **changes)


def run(spec: RunSpec):
    *_, last = prune(spec)
    return last.result


@pytest.mark.parametrize("method", METHODS)
def test_one_cluster_is_the_fixed_removal_and_that_is_the_run(folder, method):
    found = input_guided(spec_of(folder, method), Guide(clusters=1))
    assert found.dense == evaluate(spec_of(folder))
    assert [point.skipped for point in found.points] == [1, 2]
    for point in found.points:
        asked = run(spec_of(folder, method, f"blocks:{point.skipped}"))
        assert point.fixed_blocks == asked.shape.blocks == point.cluster_blocks[0]
        assert point.fixed == point.guided == asked.pruned
        assert point.blocks_run == BLOCKS - point.skipped


def test_windows_go_to_the_nearest_centroid_and_skip_the_blocks_of_their_cluster(folder):
    found = input_guided(spec_of(folder), Guide(clusters=2))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = torch.from_numpy(np.load(folder / "windows.npy"))
    means = model.get_input_embeddings()(tokens).detach().double().mean(1)
    centroids = k_means(means[:24], 2)
    labels = numpy_nearest(means[:16].numpy(), centroids.numpy())
    assert found.evaluation_clusters == tuple(labels)
    assert found.calibration_windows == tuple(np.bincount(numpy_nearest(means[:24].numpy(), centroids.numpy())))
    assert set(labels[::2]) != set(labels[1::2]), "two kinds of text, two clusters"
    total = 0.0
    for window, cluster in enumerate(labels):
        skipped = found.points[1].cluster_blocks[cluster]
        kept = [block for place, block in enumerate(map_blocks(model).blocks) if place not in skipped]
        small = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        small.model.layers = torch.nn.ModuleList(kept)
        small.config.num_hidden_layers = len(kept)
        with torch.no_grad():
            logits = small(tokens[window:window + 1], use_cache=False).logits[0, :-1]
        total += float(torch.nn.functional.cross_entropy(logits, tokens[window, 1:]))
    assert found.points[1].guided.perplexity == pytest.approx(math.exp(total / 16), rel=1e-5)
    assert found.points[1].blocks_run == 2
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_each_cluster_has_the_blocks_of_least_score_on_its_own_windows(folder):
    tokens = np.load(folder / "windows.npy")
    found = input_guided(spec_of(folder, "left-out"), Guide(clusters=2))
    for cluster, kind in enumerate(found.evaluation_clusters[:2]):
        np.save(folder / "own.npy", tokens[cluster:24:2])
        own = f"windows:{folder / 'own.npy'}"
        alone = run(spec_of(folder, "left-out").model_copy(update={"calibration": Calibration(source=own, windows=12)}))
        assert found.points[1].cluster_blocks[kind] == alone.shape.blocks


def test_the_first_tokens_can_decide_and_the_difference_is_paired(folder):
    found = input_guided(spec_of(folder), Guide(clusters=2, decide_on=4))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    means = model.get_input_embeddings()(torch.from_numpy(np.load(folder / "windows.npy"))[:, :4]).detach().double().mean(1)
    assert found.evaluation_clusters == tuple(numpy_nearest(means[:16].numpy(), k_means(means[:24], 2).numpy()))
    assert compare(found.points[0].fixed, found.points[0].guided).windows == 16
    assert found.lookahead == pytest.approx(math.log(2) / 23)


def test_bad_input_is_refused_and_nobody_waits_for_what_is_cancelled(folder):
    for pattern in ("blocks:0", "0.5", "neurons:0.5"):
        asked = spec_of(folder, "influence" if pattern.startswith("blocks") else "thanos", pattern)
        with pytest.raises(BadInput, match="blocks:1 or more"):
            input_guided(asked)
    with pytest.raises(BadInput, match="at least one of the 4 blocks"):
        input_guided(spec_of(folder, pattern="blocks:0.01"))
    with pytest.raises(BadInput, match="1 to 24, the number of calibration windows"):
        input_guided(spec_of(folder), Guide(clusters=25))
    with pytest.raises(BadInput, match="0 to 24, the tokens of a window"):
        input_guided(spec_of(folder), Guide(decide_on=25))
    with pytest.raises(BadInput, match="clusters"):
        make_guide(0)
    with pytest.raises(BadInput, match="at most 3 blocks"):
        input_guided(spec_of(folder, pattern="blocks:4"))
    told = []
    with pytest.raises(Cancelled), cancel_unless(lambda: len(told) < 5):
        input_guided(spec_of(folder), report=lambda words, share: told.append((words, share)))
    assert told[-1][1] < 1
