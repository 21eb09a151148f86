"""A session of a model that stays in its files tells what one that holds it whole tells, to the bit, and holds what it is asked about."""

from __future__ import annotations

import pytest
import torch

from cache.grams import GramFolder
from core.models.grams import collect_missing
from core.models.open_model import open_for_layers, open_model
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput
from core.whatif.layer_session import LayerSession
from core.whatif.outlier_rows import energy_shares, layer_rows
from core.whatif.problems import NotCollected
from core.whatif.session import Session

CPU = torch.device("cpu")
SMALL = {"calibration": Calibration(windows=8, length=64), "evaluation": Evaluation(windows=1, length=64)}
GATE = "model.layers.1.mlp.gate_proj"


@pytest.fixture(scope="module", params=["demo", "stories260K"])
def both(request, tmp_path_factory):
    """The same model held whole and read layer by layer, whose Gram matrices were collected block by block."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "demo":
            patch.setenv("PRUNESCOPE_MODELS", str(request.getfixturevalue("stories260k").parent))
        spec = RunSpec(model=request.param, **SMALL)
        folder = tmp_path_factory.mktemp("home") / "grams" / "key"
        done = list(collect_missing(open_model(spec, CPU, "always"), GramFolder(folder)))
        whole, read = Session(open_model(spec, CPU, "never")), LayerSession(open_for_layers(spec, CPU), GramFolder(folder), room=1)
        assert done == list(range(len(whole.opened.block_map.blocks)))
        yield spec, whole, read, folder


def test_weights_grams_solutions_and_energies_have_the_same_bits(both):
    spec, whole, read, _ = both
    assert read.layers == whole.layers
    assert all(parameter.is_meta for parameter in read.opened.model.parameters())
    for info in (*whole.layers[:7], whole.layers[-1]):
        one, other = whole.problem(info.name), read.problem(info.name)
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.gram, other.gram)
        assert (one.dtype, one.tokens) == (other.dtype, other.tokens)
    for method, pattern in (("thanos", "0.5"), ("wanda", "2:4"), ("dsnot", "0.5")):
        asked = spec.model_copy(update={"method": make_method(method), "pattern": parse_pattern(pattern)})
        name = whole.layers[9].name
        first, second = whole.solve(name, asked), read.solve(name, asked)
        assert torch.equal(first.weight, second.weight)
        told = [session.record(name, solution).model_dump(exclude={"seconds"}) for session, solution in ((whole, first), (read, second))]
        assert told[0] == told[1]
    assert energy_shares(read, 0.1) == energy_shares(whole, 0.1)
    alpha = spec.model_copy(update={"pattern": parse_pattern("0.5", alpha=0.1)})
    assert layer_rows(read, name, alpha).error == layer_rows(whole, name, alpha).error


def test_it_holds_the_layers_asked_for_last(both):
    _, _, read, folder = both
    names = [info.name for info in read.layers[:3]]
    for name in names:
        read.problem(name)
    assert list(read._stored._kept) == names[-1:]
    roomy = LayerSession(read.opened, GramFolder(folder), room=1 << 30)
    first, second = roomy.problem(names[0]), roomy.problem(names[1])
    assert list(roomy._stored._kept) == names[:2]
    assert first.gram is second.gram  # one input: its factors are made once
    assert roomy.problem(names[0]) is first


def test_what_needs_the_whole_model_is_refused_in_words(both):
    spec, _, read, _ = both
    for ask in (lambda: read.preview(spec), lambda: read.dense, lambda: read.sensitivity(GATE),
                lambda: read.solve(GATE, spec.model_copy(update={"fisher": 0.5})),
                lambda: read.patterns(spec.model_copy(update={"allocation": "marginal"}))):
        with pytest.raises(BadInput, match="a model that fits into memory whole"):
            ask()


def test_collecting_goes_on_behind_finished_blocks_and_damage_is_collected_again(both, tmp_path):
    spec, whole, read, _ = both
    opened, files = open_model(spec, CPU, "always"), GramFolder(tmp_path / "grams" / "key")
    steps = collect_missing(opened, files)
    next(steps)
    steps.close()
    last = whole.layers[-1]
    half = LayerSession(read.opened, files, room=1 << 20)
    half.problem(whole.layers[0].name)
    with pytest.raises(NotCollected, match=f"{last.name}: the Gram matrix of its input has not been collected"):
        half.problem(last.name)
    assert (files.blocks, files.has(0), files.has(1)) == (1, True, False)
    assert 0 in list(collect_missing(opened, files))  # passed through, not collected again
    assert files.blocks == len(opened.block_map.blocks)
    assert not list(collect_missing(opened, files))
    torn = next((tmp_path / "grams" / "key").glob("block-00000.safetensors"))
    torn.write_bytes(torn.read_bytes()[:-9])
    with pytest.raises(NotCollected):
        LayerSession(read.opened, GramFolder(tmp_path / "grams" / "key"), room=1).problem(whole.layers[0].name)
