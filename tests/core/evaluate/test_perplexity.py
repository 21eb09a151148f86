"""Perplexity against its definition."""

import math

import pytest
import torch

from core.data.windows import Windows
from core.evaluate.perplexity import evaluated, next_token_loss


def test_loss_is_the_sum_of_minus_log_probabilities_of_the_next_token():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 7, generator=generator)
    tokens = torch.randint(0, 7, (3, 5), generator=generator)
    expected = 0.0
    for window in range(3):
        for place in range(4):
            scores = logits[window, place].double()
            expected -= float(scores[tokens[window, place + 1]] - torch.logsumexp(scores, 0))
    assert float(next_token_loss(logits, tokens)) == pytest.approx(expected, rel=1e-6)


def test_uniform_predictions_have_the_vocabulary_as_perplexity():
    tokens = torch.zeros(2, 9, dtype=torch.int64)
    loss = float(next_token_loss(torch.zeros(2, 9, 50), tokens))
    record = evaluated(loss, Windows(tokens=tokens, description="nothing", sha256=""), torch.float32)
    assert record.perplexity == pytest.approx(50)
    assert (record.tokens, record.windows, record.length) == (16, 2, 9)
    assert record.protocol == "nothing, 2 windows of 9 tokens, no overlap, float32"


def test_a_ruined_model_has_infinite_perplexity_not_an_error():
    windows = Windows(tokens=torch.zeros(1, 2, dtype=torch.int64), description="", sha256="")
    assert evaluated(1e5, windows, torch.float32).perplexity == math.inf
