"""Perplexity against its definition."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.data.windows import Windows
from core.evaluate.perplexity import evaluated, token_losses
from core.records import Evaluated
from core.spec.errors import NotFinite


def windows_of(tokens: torch.Tensor) -> Windows:
    return Windows(tokens=tokens, description="nothing", sha256="")


def test_loss_is_the_sum_of_minus_log_probabilities_of_the_next_token():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 7, generator=generator)
    tokens = torch.randint(0, 7, (3, 5), generator=generator)
    expected = 0.0
    for window in range(3):
        for place in range(4):
            scores = logits[window, place].double()
            expected -= float(scores[tokens[window, place + 1]] - torch.logsumexp(scores, 0))
    assert float(token_losses(logits, tokens).sum()) == pytest.approx(expected, rel=1e-6)


def test_uniform_predictions_have_the_vocabulary_as_perplexity():
    tokens = torch.zeros(2, 9, dtype=torch.int64)
    record = evaluated([token_losses(torch.zeros(2, 9, 50), tokens)], windows_of(tokens), torch.float32)
    assert record.perplexity == pytest.approx(50)
    assert (record.tokens, record.windows, record.length) == (16, 2, 9)
    assert record.protocol == "nothing, 2 windows of 9 tokens, no overlap, float32"


def test_losses_are_kept_by_window_and_have_the_perplexity_of_all_tokens():
    generator = torch.Generator().manual_seed(1)
    windows = windows_of(torch.randint(0, 7, (6, 5), generator=generator))
    logits = torch.randn(6, 5, 7, generator=generator)
    parts = [token_losses(part, tokens) for part, tokens in zip(logits.split(4), windows.tokens.split(4), strict=True)]
    record = evaluated(parts, windows, torch.float32)
    expected = [float(cross_entropy(logits[i, :-1].double(), windows.tokens[i, 1:])) for i in range(6)]
    assert record.losses == pytest.approx(expected, abs=1e-6)
    assert record.perplexity == math.exp(float(torch.cat([part.flatten() for part in parts]).sum(dtype=torch.float64)) / 24)
    assert Evaluated.model_validate_json(record.model_dump_json()) == record
    old = record.model_dump(mode="json", exclude={"losses"})
    assert Evaluated.model_validate(old).losses is None, "older records are read as they are"


@pytest.mark.parametrize(("losses", "words"), [
    ([[1.0, math.nan], [1.0, 1.0]], "no number in 1 of 2 windows, first in window 1"),
    ([[1.0, 1.0], [math.inf, 1.0]], "no number in 1 of 2 windows, first in window 2"),
    ([[800.0, 800.0], [800.0, 800.0]], "mean loss of 800 nats a token"),
])
def test_a_perplexity_that_is_no_number_is_an_error_in_words(losses, words):
    with pytest.raises(NotFinite, match=f"Perplexity of the pruned model: .*{words}"):
        evaluated([torch.tensor(losses)], windows_of(torch.zeros(2, 3, dtype=torch.int64)), torch.float32, model="the pruned model")
