"""Patterns that shrink shapes: which methods choose for them, what a run with them refuses, and their words in links."""

from __future__ import annotations

import pytest

from core.spec import EVERY_METHOD, METHODS, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput, input_errors
from core.spec.flags import command_line, read_words, to_words
from core.spec.methods import SCORES
from core.spec.patterns import KINDS, Blocks
from core.spec.run import OPTIONS


def refusal(**given) -> BadInput:
    with pytest.raises(ValueError, match="cannot be used") as caught:
        RunSpec(**given)
    found = caught.value
    return found if isinstance(found, BadInput) else input_errors(found)[0]


@pytest.mark.parametrize("name", EVERY_METHOD)
def test_blocks_are_chosen_by_methods_that_score_them_and_these_solve_no_layer(name):
    for kind in KINDS.values():
        allowed = not make_method(name).refusal(kind)
        if name in SCORES or kind is Blocks:
            assert allowed == (name in SCORES and (kind is Blocks or (name == "taylor" and kind.prefix in ("neurons", "heads")))), kind
    assert list(EVERY_METHOD) == [*METHODS, *SCORES]


def test_what_has_no_meaning_for_blocks_is_refused_with_the_reason():
    given = {"method": make_method("influence"), "pattern": parse_pattern("blocks:2")}
    values = {"update": "exact", "refit": True, "true_sequential": True, "allocation": "marginal", "propagation": 0.5, "fisher": 0.5,
              "random_rows": 1, "reconstruct": 2, "experts": "all", "layer_sparsity": "*.v_proj=0.3", "no_optimum": True}
    assert set(values) == {*OPTIONS} - {"skip", "reconstruct_aim"}
    for name, value in values.items():
        error = refusal(**given, **{name: value})
        assert error.field == name
        assert error.remedy
    assert refusal(method=make_method("thanos"), pattern=parse_pattern("blocks:2")).field == "pattern"
    with pytest.raises(ValueError, match="An outlier row would keep all of its inputs"):
        parse_pattern("blocks:2", alpha=0.1)
    with pytest.raises(BadInput, match="a layer alone, and a preview, cannot tell"):
        parse_pattern("blocks:2").target(4, 4)


def test_a_run_of_blocks_goes_through_a_link_and_a_command():
    spec = RunSpec(method=make_method("left-out", greedy=True), pattern=parse_pattern("blocks:0.25"))
    words = to_words(spec)
    assert words == {"method": "left-out", "pattern": "blocks:0.25", "greedy": "true"}
    assert read_words(words) == (spec, ())
    assert command_line(spec).endswith("--method left-out --pattern blocks:0.25 --greedy")
    other, (reason,) = read_words({**words, "alpha": "0.2"})
    assert other == spec
    assert reason.word == "alpha"


@pytest.mark.parametrize(("word", "blocks", "number"), [("blocks:2", 6, 2), ("blocks:0.25", 6, 2), ("blocks:0.25", 5, 1),
                                                       ("blocks:0.1", 32, 3), ("blocks:0", 6, 0)])
def test_a_share_of_blocks_is_the_nearest_number(word, blocks, number):
    assert parse_pattern(word).number(blocks) == number
