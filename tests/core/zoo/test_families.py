"""Every causal architecture of the installed transformers, and every multimodal one, as a tiny random model: pruned and stored, or refused
in the words listed (tests/core/zoo/refusals.py). docs/models.md lists the same families."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.core.zoo.build import CAUSAL, WRAPPERS
from tests.core.zoo.outcomes import outcome
from tests.core.zoo.refusals import NOT_BUILT, REFUSED

QUICK = ("bamba", "bart", "blip", "deepseek_v3", "gemma3", "gpt_oss", "granitemoe", "jetmoe", "lfm2", "llama4_text", "llava", "mistral3",
         "mixtral", "qwen3_moe", "qwen3_vl", "rwkv", "recurrent_gemma")
EXPERTS = {"deepseek_v3", "gpt_oss", "granitemoe", "jetmoe", "llama4_text", "mixtral", "qwen3_moe"}
FAMILIES = tuple(dict.fromkeys((*CAUSAL, *WRAPPERS)))
PAGE = Path(__file__).resolve().parents[3] / "docs" / "models.md"


@pytest.mark.parametrize("family", [family if family in QUICK else pytest.param(family, marks=pytest.mark.long) for family in FAMILIES])
def test_a_family_is_pruned_or_refused_in_the_words_listed(family, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path))
    found = outcome(family, tmp_path)
    assert found.kind == ("refused" if family in REFUSED else "not built" if family in NOT_BUILT else "pruned"), found.words
    assert re.search(REFUSED.get(family, ""), found.words), found.words
    assert (found.experts > 1) or family not in EXPERTS


def test_the_page_lists_every_family_where_it_belongs():
    _, pruned, refused, not_tried = PAGE.read_text(encoding="utf-8").split("\n## ")
    listed = [set(re.findall(r"`([\w.-]+)`", part)) for part in (pruned, refused, not_tried)]
    assert listed == [{*FAMILIES} - {*REFUSED} - NOT_BUILT, {*REFUSED}, {*NOT_BUILT}]
