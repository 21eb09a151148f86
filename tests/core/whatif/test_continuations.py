"""Texts side by side: against transformers' own generation, and distributions against whole forwards."""

import pytest
import torch

from core.models.open_model import open_model
from core.spec import Calibration, Evaluation, RunSpec, Unstructured, make_method
from core.spec.errors import BadInput
from core.whatif.continuations import Continuations, Sampling, previewed_weights
from core.whatif.session import Session

PROMPT, TOKENS = "Return a new list", 12


@pytest.fixture(scope="module")
def session():
    spec = RunSpec(calibration=Calibration(windows=4, length=64), evaluation=Evaluation(windows=1, length=64))
    return Session(open_model(spec, torch.device("cpu")))


@pytest.fixture(scope="module")
def pruned(session):
    spec = session.opened.inputs.spec.model_copy(update={"method": make_method("magnitude"), "pattern": Unstructured(sparsity=0.7)})
    return previewed_weights(session, spec)


def written(session, pruned, *, prompt=PROMPT, tokens=TOKENS, **sampling):
    texts = Continuations(session.opened, session.linears, prompt, pruned, Sampling(**sampling))
    while texts.length < tokens and not texts.over:
        texts.step()
    return texts


def own(texts):
    return [writer.own for writer in texts._writers]


def with_weights(session, weights, work):
    kept = {name: session.linears[name].weight.clone() for name in weights}
    for name, weight in weights.items():
        session.linears[name].write(weight)
    try:
        with torch.no_grad():
            return work(session.opened.model)
    finally:
        for name, weight in kept.items():
            session.linears[name].write(weight)


def test_greedy_texts_are_those_that_transformers_generates(session, pruned):
    texts = written(session, [pruned])
    prompt = torch.tensor([texts._prompt])
    for weights, mine in zip(({}, pruned), own(texts), strict=True):
        theirs = with_weights(session, weights, lambda model: model.generate(prompt, max_new_tokens=TOKENS, do_sample=False))
        assert mine == theirs[0, prompt.shape[1]:].tolist()
    record = texts.record()
    assert "".join(record.prompt) == PROMPT
    assert record.pruned[0].tokens != record.dense.tokens, "magnitude at 70 % changes the demo's text"


def test_distributions_are_compared_after_the_dense_models_text(session, pruned):
    texts = written(session, [pruned, {}])
    whole = torch.tensor([[*texts._prompt, *own(texts)[0]]])
    logs = [with_weights(session, weights, lambda model: model(input_ids=whole, use_cache=False).logits[0].log_softmax(-1))
            for weights in ({}, pruned)]
    for place, found in enumerate(texts.record().places):
        p, q = (log[len(texts._prompt) - 1 + place] for log in logs)
        assert found.divergences[0] == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-3, abs=1e-5)
        assert found.divergences[1] == pytest.approx(0, abs=1e-5), "unpruned weights differ in nothing"
        first = found.candidates[0]
        assert first.chances == pytest.approx([float(p.max().exp()), float(q[p.argmax()].exp()), float(p.max().exp())], rel=1e-3)
        assert first.token == found.token, "greedy: the most probable is what was written"


def test_sampling_has_one_noise_for_all_models(session, pruned):
    one = own(written(session, [{}, pruned], temperature=1.0, seed=3))
    assert one[0] == one[1], "equal distributions write equal texts"
    assert one[0] != one[2]
    assert one == own(written(session, [{}, pruned], temperature=1.0, seed=3))
    assert one[0] != own(written(session, [], temperature=1.0, seed=4))[0]


def test_sampled_tokens_have_the_models_probabilities(session):
    texts = Continuations(session.opened, session.linears, PROMPT, [], Sampling(temperature=0.8, seed=0))
    texts.step()
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    drawn = torch.stack([(logits + texts._noise(step, 4)).argmax() for step in range(4000)])
    counted = torch.bincount(drawn, minlength=4) / 4000
    assert counted.tolist() == pytest.approx((logits / 0.8).softmax(-1).tolist(), abs=0.03)


def test_a_full_context_ends_the_texts(session):
    context = session.opened.source.context
    texts = written(session, [{}], prompt=" list" * (context - 3), tokens=100)
    record = texts.record()
    assert record.over
    assert record.full
    assert len(record.prompt) + record.length == context


@pytest.mark.parametrize(("prompt", "told"), [("", "one token or more"), (" \n", "one token or more"), (" list" * 600, "context has 512")])
def test_prompts_that_cannot_be_used(session, prompt, told):
    with pytest.raises(BadInput, match=told) as caught:
        Continuations(session.opened, session.linears, prompt, [], Sampling())
    assert caught.value.field == "prompt"
