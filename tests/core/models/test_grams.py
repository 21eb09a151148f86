"""The kept statistics are those of the dense model's inputs, whoever sums them."""

import pytest
import torch

from cache.grams import GramFolder
from core.models.grams import collect
from core.models.open_model import open_model
from core.spec import Calibration, Evaluation, RunSpec

SPEC = RunSpec(calibration=Calibration(windows=6, length=40), evaluation=Evaluation(windows=2, length=32))


@pytest.fixture(scope="module")
def opened():
    return open_model(SPEC, torch.device("cpu"))


@pytest.fixture(scope="module")
def inputs(opened):
    """What each linear layer of the whole model reads, seen by plain hooks: X [tokens, b] by name."""
    seen = {}
    layers = {name: module for name, module in opened.model.named_modules()
              if name.startswith("model.layers") and isinstance(module, torch.nn.Linear)}
    handles = [module.register_forward_pre_hook(lambda _, args, name=name: seen.__setitem__(name, args[0].flatten(0, 1).double()))
               for name, module in layers.items()]
    with torch.no_grad():
        opened.model(opened.calibration.tokens)
    for handle in handles:
        handle.remove()
    return seen


def test_every_layer_has_the_gram_and_the_mean_of_its_own_input(opened, inputs):
    found = {name: item for block in collect(opened) for item in block for name in item.layers}
    assert set(found) == set(inputs)
    for name, rows in inputs.items():
        item = found[name]
        assert item.tokens == len(rows) == 240
        torch.testing.assert_close(item.gram.double(), rows.T @ rows, rtol=1e-3, atol=1e-3 * float((rows.T @ rows).diagonal().max()))
        torch.testing.assert_close(item.mean.double(), rows.mean(0), rtol=1e-3, atol=1e-4)


def test_layers_that_read_the_same_are_named_together(opened):
    first = next(iter(collect(opened)))
    assert [tuple(name.rpartition(".")[2] for name in item.layers) for item in first] == [
        ("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",)]


def test_what_was_kept_comes_back_and_a_lost_block_is_collected_again(opened, tmp_path):
    store = GramFolder(tmp_path)
    fresh = list(collect(opened, store))
    for path in tmp_path.glob("block-00003.*"):
        path.unlink()
    again = list(collect(opened, store))
    assert store.read(3) is not None
    kept = list(collect(opened, store))
    for one, two, three in zip(fresh, again, kept, strict=True):
        for a, b, c in zip(one, two, three, strict=True):
            assert a.layers == b.layers == c.layers
            assert torch.equal(a.gram, b.gram)
            assert torch.equal(b.gram, c.gram)
            assert torch.equal(a.mean, c.mean)


def test_a_damaged_file_is_not_believed(opened, tmp_path):
    store = GramFolder(tmp_path)
    next(iter(collect(opened, store)))
    path = tmp_path / "block-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert store.read(0) is None


def test_a_gram_is_symmetric_to_the_bit_for_any_width():
    from core.models.grams import _add_lower

    for width in (1, 2, 3, 5, 172):
        inputs = torch.randn(40, width)
        gram = torch.zeros(width, width)
        _add_lower(gram, inputs[:15])
        _add_lower(gram, inputs[15:])
        torch.testing.assert_close(gram.tril(), (inputs.T @ inputs).tril(), rtol=1e-4, atol=1e-4)


def test_watching_ends_after_the_last_group_asked_for(opened):
    from core.models.blocks import map_blocks
    from core.models.streaming import Stream

    with Stream(opened.model, map_blocks(opened.model), opened.device, opened.calibration.tokens[:1]) as stream:
        hidden, seen = stream.embed(opened.calibration.tokens), []
        assert stream.observe(0, hidden, lambda group, _: seen.append(group), last=1) is None
        assert seen == [0, 1]
        assert torch.equal(stream.observe(0, hidden, lambda *_: None), stream.forward(0, hidden))
