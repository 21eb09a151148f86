"""Some causal architectures of the installed transformers as tiny random models: pruned and stored, or refused in listed words."""

from __future__ import annotations

import re

import pytest

from tests.core.zoo.outcomes import outcome
from tests.core.zoo.refusals import REFUSED

QUICK = ("bamba", "deepseek_v3", "gemma3", "gpt_oss", "granitemoe", "jetmoe", "lfm2", "llama4_text", "llava", "mistral3", "mixtral",
         "qwen3_moe", "qwen3_vl", "rwkv", "recurrent_gemma")
EXPERTS = {"deepseek_v3", "gpt_oss", "granitemoe", "jetmoe", "llama4_text", "mixtral", "qwen3_moe"}


@pytest.mark.parametrize("family", QUICK)
def test_a_family_is_pruned_or_refused_in_the_words_listed(family, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path))
    found = outcome(family, tmp_path)
    if family in REFUSED:
        assert found.kind == "refused"
        assert re.search(REFUSED[family], found.words), found.words
    else:
        assert (found.kind, found.words) == ("pruned", found.words)
        assert (found.experts > 1) or family not in EXPERTS
