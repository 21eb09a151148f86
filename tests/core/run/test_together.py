"""Runs that share one reading of their model: the numbers of runs alone, to the bit, and what ends one ends none of the others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from core.export.folder import MemoryJournal
from core.models import block_files, open_model, placement
from core.models.placement import Sizes, place, place_together, shared_sizes
from core.records import RunResult
from core.run import block_pass, one_layer, propagation
from core.run.pipeline import prune, prune_together
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput, PruneError
from tests.core.families import save_family

OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("magnitude", "0.5", {}), ("wanda", "2:4", {"fisher": 0.5}), ("sparsegpt", "0.5", {"true_sequential": True}),
    ("thanos", "columns:0.25", {"propagation": 0.5}), ("wanda", "0.5", {"allocation": "marginal", "refit": True}),
    ("magnitude", "0.6", {"reconstruct": 1}), ("thanos", "neurons:0.3", {}), ("influence", "blocks:1", {}))


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    root = tmp_path_factory.mktemp("together")
    folder = save_family("llama", root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_TEXTS", str(root))
        patch.setenv("PRUNESCOPE_MODELS", str(root))
        text = f"windows:{folder.name}/windows.npy"
        yield [RunSpec(model=folder.name, method=make_method(method), pattern=parse_pattern(pattern), **options,
                       calibration=Calibration(source=text, windows=8), evaluation=Evaluation(source=text, windows=4))
               for method, pattern, options in OPTIONS]


@pytest.fixture(scope="module")
def alone(specs):
    found = []
    for spec in specs:
        journal = MemoryJournal()
        *_, last = prune(spec, journal=journal)
        found.append((last.result, journal.weights))
    return found


def together(specs, **options) -> tuple[dict[int, RunResult], dict[int, PruneError], list[MemoryJournal]]:
    journals = options.pop("journals", None) or [MemoryJournal() for _ in specs]
    results, errors = dict[int, RunResult](), dict[int, PruneError]()
    for index, event in prune_together(specs, journals=journals, **options):
        if isinstance(event, PruneError):
            errors[index] = event
        elif event.kind == "finished":
            results[index] = event.result
    return results, errors, journals


def assert_equal(found: RunResult, weights: dict[str, torch.Tensor], expected: tuple[RunResult, dict[str, torch.Tensor]]) -> None:
    result, kept = expected
    timeless = [(one.spec, one.dense, one.pruned, one.shape, *(part.model_copy(update={"seconds": 0.0})
                                                    for part in (*one.layers, *one.reconstruction))) for one in (found, result)]
    assert timeless[0] == timeless[1]
    assert weights.keys() == kept.keys()
    assert all(torch.equal(weight, kept[name]) for name, weight in weights.items())


@pytest.mark.parametrize("where", ["never", "always"])
@pytest.mark.parametrize("most", [8, 5])
def test_runs_together_are_runs_alone(specs, alone, where, most, monkeypatch):
    """In memory and from the files, in one reading and in two (the second of a model that has been put back as it was)."""
    usual = open_model.place_together
    monkeypatch.setattr(open_model, "place_together", lambda *given, **options: usual(*given, **options).model_copy(update={"runs": most}))
    results, errors, journals = together(specs, streaming=where)
    assert not errors
    for index, expected in enumerate(alone):
        assert_equal(results[index], journals[index].weights, expected)
        assert results[index].placement.runs == (most if index < most else len(specs) - most)
        assert results[index].placement.weights == ("memory" if where == "never" else "blocks")


def test_what_is_shared_is_done_once(specs, monkeypatch):
    reads, collected, pushed = Counter[int](), list[tuple[int, ...]](), list[str]()
    read, collect, push = block_files.FileReader._read, propagation.input_statistics, block_pass.BlockPass._push

    def reading(self, block, device):
        reads[block] += 1
        read(self, block, device)

    def collecting(stream, block, hidden, groups):
        collected.append((block, *groups))
        return collect(stream, block, hidden, groups)

    def pushing(self, *given, what):
        pushed.append(what)
        push(self, *given, what=what)

    monkeypatch.setattr(block_files.FileReader, "_read", reading)
    monkeypatch.setattr("core.run.collecting.input_statistics", collecting)
    monkeypatch.setattr(block_pass.BlockPass, "_push", pushing)
    plain = [spec for spec in specs if spec.allocation == "even" and not spec.fisher and spec.pattern.solves]
    blocks = {int(name.split(".")[2]) for name in together(plain[:1], streaming="always")[2][0].weights}
    one = Counter(reads)
    reads.clear()
    collected.clear()
    pushed.clear()
    results, *_ = together(plain, streaming="always")
    assert len(results) == len(plain)
    assert reads == one, "each block is read as often as for one run"
    assert all(count == 1 for count in Counter(collected).values()), "the first block's inputs are summed once"
    assert {block for block, *_ in collected} == {0}
    dense = [what for what in pushed if what.startswith("dense")]
    assert len(dense) == len(blocks), "the dense model goes through the text once"


def test_what_ends_one_ends_none_of_the_others(specs, alone, monkeypatch):
    """The first, that measures the dense model, and one that does not fit the layers at all."""
    usual = one_layer.solve_for_run

    def failing(problem, spec, *given):
        if spec == specs[0] and problem.name.endswith("1.mlp.down_proj"):
            raise BadInput("damping", "0", "more", "Raise it.")
        return usual(problem, spec, *given)

    monkeypatch.setattr(one_layer, "solve_for_run", failing)
    odd = specs[2].model_copy(update={"pattern": parse_pattern("30:37")})
    asked = [odd, specs[0], specs[1], specs[2]]
    results, errors, journals = together(asked)
    assert sorted(errors) == [0, 1]
    assert errors[1].field == "damping"
    for position, index in ((2, 1), (3, 2)):
        assert_equal(results[position], journals[position].weights, alone[index])
    assert sorted(journals[1].states) == [0], "the blocks that it had finished are kept"


def test_runs_that_were_ended_go_on_together_each_from_its_own_block(specs, alone):
    journals = [MemoryJournal() for _ in specs]
    events = prune_together(specs, journals=journals)
    for index, event in events:
        if not isinstance(event, PruneError) and event.kind == "layer" and index == 3 and event.layer.block == 1:
            break
    events.close()
    begun = [sum(state.scored is None for state in journal.states.values()) for journal in journals]
    assert begun == [2, 2, 2, 1, 1, 1, 1, 0]
    assert len(journals[-1].states) == 1, "the round of scores of the run whose blocks go"
    results, errors, _ = together(specs, journals=journals)
    assert not errors
    for index, expected in enumerate(alone):
        assert results[index].resumed_blocks == begun[index]
        assert_equal(results[index], journals[index].weights, expected)


def test_seconds_of_runs_together_add_up_to_the_time_they_took(specs):
    import time

    start = time.perf_counter()
    results, *_ = together(specs[:3])
    wall = time.perf_counter() - start
    assert sum(result.seconds for result in results.values()) < 2 * wall, "and not three times that"


def test_runs_of_different_texts_or_layers_are_refused(specs):
    for change in ({"skip": "0.*"}, {"calibration": specs[0].calibration.model_copy(update={"seed": 1})}):
        with pytest.raises(BadInput, match="same texts"):
            list(prune_together([specs[0], specs[1].model_copy(update=change)]))


def sizes(**changes: int) -> Sizes:
    usual = {"model": 800, "block": 100, "frame": 100, "activations": 300, "working": 50, "window": 10, "evaluation": 100, "grams": 20}
    return Sizes(**{name: count << 20 for name, count in {**usual, **changes}.items()})


def test_as_many_runs_share_a_reading_as_fit_where_one_would_be(monkeypatch):
    """From files: embeddings, a block and its pruned weights, its dense weights and Grams once more, one set of activations a run."""
    shared = shared_sizes([sizes()] * 4)
    assert shared.activations == (300 + 3 * 200) << 20, "the dense model's hidden states are there once"
    assert shared.working == (50 + 20 + 100) << 20
    cpu = torch.device("cpu")
    alone = placement.BASE + (100 + 2 * 100 + 300 + 50 << 20)
    for runs in (1, 2, 4):
        needed = placement.BASE + (100 + 2 * 100 + 300 + (runs - 1) * 200 + (170 if runs > 1 else 50) << 20)
        limit = round(needed / placement._SHARE) + 2
        assert place_together([sizes()] * 8, cpu, asked="always", limit=limit).runs == runs
    assert place_together([sizes()] * 8, cpu, asked="auto", limit=1 << 40).runs == 8
    assert place([sizes()][0], cpu, asked="always", limit=round(alone / placement._SHARE) + 2).activations == "host"
    monkeypatch.setattr(placement, "disk_room", lambda: 700 << 20)
    on_disk = place_together([sizes()] * 8, cpu, asked="always", limit=placement.BASE)
    assert (on_disk.activations, on_disk.runs) == ("disk", 3), "300 + 2·200 MiB of 700"
