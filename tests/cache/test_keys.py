"""A key changes with everything a value depends on, and with nothing else."""

import json

import pytest

from cache import canonical_json, content_key, dense_key, plan_key, run_key
from cache.keys import files_key, grams_key
from core.spec import METHODS, RunSpec, Unstructured, make_method
from tests.cache.examples import REVISIONS

SPECS = {
    "model": {"model": "owner/name"}, "revision": {"revision": "main"}, "method": {"method": make_method("wanda")},
    "damping": {"method": make_method("thanos", damping=0.02)}, "block_size": {"method": make_method("thanos", block_size=64)},
    "raise_damping": {"method": make_method("thanos", raise_damping=True)}, "sparsity": {"pattern": Unstructured(sparsity=0.6)},
    "kind": {"pattern": {"kind": "semi-structured"}}, "alpha": {"pattern": Unstructured(outlier_rows=0.1)},
    "budget": {"pattern": Unstructured(alpha_budget="iso")}, "refit": {"refit": True}, "update": {"update": "sweep"},
    "true_sequential": {"true_sequential": True}, "allocation": {"allocation": "marginal"},
    "propagation": {"propagation": 0.5},
    "fisher": {"fisher": 0.5}, "random_rows": {"random_rows": 0},
    "reconstruct": {"reconstruct": 4}, "reconstruct_aim": {"reconstruct": 4, "reconstruct_aim": "block"},
    "experts": {"experts": "all"}, "skip": {"skip": "0.*"}, "layer_sparsity": {"layer_sparsity": "*.v_proj=0.3"},
    "no_optimum": {"no_optimum": True},
    "calibration": {"calibration": {"windows": 64}}, "seed": {"calibration": {"seed": 1}},
    "text": {"calibration": {"source": "hub:x"}},
    "evaluation": {"evaluation": {"windows": 64}}, "length": {"evaluation": {"length": 64}}, "device": {"device": "cpu"},
    "dtype": {"dtype": "float32"}, "further_evaluations": {"further_evaluations": ["hub:c4:windows=9"]},
}


def test_each_field_of_a_spec_is_in_the_key():
    assert set(RunSpec.model_fields) <= set(SPECS) | {"pattern"}, "a new field of RunSpec needs a line above"
    keys = {name: run_key(RunSpec(**changes), REVISIONS) for name, changes in SPECS.items()}
    assert len({run_key(RunSpec(), REVISIONS), *keys.values()}) == len(SPECS) + 1


@pytest.mark.parametrize("field", ["model", "calibration", "evaluation", "method", "core"])
def test_each_revision_is_in_the_key(field):
    other = REVISIONS.model_copy(update={field: 2 if field in ("method", "core") else "another"})
    assert run_key(RunSpec(), other) != run_key(RunSpec(), REVISIONS)
    assert plan_key(RunSpec(), other) != plan_key(RunSpec(), REVISIONS)


def test_what_is_automatic_has_the_key_of_what_it_means():
    assert run_key(RunSpec(), REVISIONS) == run_key(RunSpec(method=make_method("thanos", block_size=128)), REVISIONS)


def test_a_field_that_came_later_leaves_the_keys_of_stored_results_as_they_are():
    younger = {"propagation", "fisher", "random_rows", "reconstruct", "reconstruct_aim", "experts", "skip", "layer_sparsity",
               "no_optimum", "further_evaluations"}
    asked = RunSpec().model_dump(mode="json", exclude=younger)
    found = REVISIONS.model_dump(mode="json")
    assert "further_evaluations" not in found
    assert run_key(RunSpec(), REVISIONS) == content_key("run", spec=asked, revisions=found)


def test_a_key_survives_json():
    for name in METHODS:
        spec = RunSpec(method=make_method(name))
        assert run_key(RunSpec.model_validate_json(spec.model_dump_json()), REVISIONS) == run_key(spec, REVISIONS)


def test_the_dense_perplexity_is_shared_by_methods_and_not_by_texts():
    spec, other = RunSpec(), RunSpec(method=make_method("wanda"), pattern=Unstructured(sparsity=0.7), calibration={"seed": 3})
    assert dense_key(spec, REVISIONS) == dense_key(other, REVISIONS.model_copy(update={"method": 9, "calibration": "c2"}))
    assert dense_key(spec, REVISIONS) != dense_key(spec, REVISIONS.model_copy(update={"evaluation": "e2"}))
    assert dense_key(spec, REVISIONS) != dense_key(RunSpec(evaluation={"windows": 3}), REVISIONS)
    assert dense_key(spec, REVISIONS) != dense_key(RunSpec(device="cuda"), REVISIONS)
    free = {"method", "pattern", "update", "refit", "true_sequential", "allocation", "propagation", "fisher",
            "random_rows", "reconstruct", "reconstruct_aim", "experts", "skip", "layer_sparsity", "no_optimum", "calibration",
            "further_evaluations"}
    for name in set(RunSpec.model_fields) - free:
        assert dense_key(spec, REVISIONS) != dense_key(RunSpec(**SPECS[name]), REVISIONS), name


def test_canonical_json_is_sorted_and_without_spaces():
    text = canonical_json(RunSpec()).decode()
    parsed = json.loads(text)
    assert text == json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert RunSpec.model_validate(parsed) == RunSpec()


def test_files_are_known_by_what_is_in_them(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    before = files_key(tmp_path.glob("*.py"))
    assert before == files_key([tmp_path / "b.py", tmp_path / "a.py"])
    (tmp_path / "a.py").write_text("3")
    assert files_key(tmp_path.glob("*.py")) != before


def test_kinds_and_names_of_parts_do_not_run_into_each_other():
    keys = {content_key("a", x=1), content_key("b", x=1), content_key("a", y=1), content_key("a", x="1"), content_key("a")}
    assert len(keys) == 5


WHAT_IS_DONE = {"method", "pattern", "update", "refit", "true_sequential", "allocation", "propagation", "fisher", "random_rows",
                "reconstruct", "reconstruct_aim", "skip", "layer_sparsity", "no_optimum", "further_evaluations"}


@pytest.mark.parametrize(("key", "text"), [(dense_key, "calibration"), (grams_key, "evaluation")])
def test_what_is_measured_of_the_dense_model_depends_on_all_but_the_pruning_and_the_other_text(key, text):
    for field in type(REVISIONS).model_fields:
        value = 2 if field in ("method", "core") else ("another",) if field == "further_evaluations" else "another"
        other = REVISIONS.model_copy(update={field: value})
        assert (key(RunSpec(), other) == key(RunSpec(), REVISIONS)) == (field in ("method", text, "further_evaluations")), field
    for changes in SPECS.values():
        *_, field = changes
        assert (key(RunSpec(**changes), REVISIONS) == key(RunSpec(), REVISIONS)) == (
            field in WHAT_IS_DONE | {text} | ({"experts"} if key is dense_key else set())), changes


def test_further_texts_change_neither_the_first_texts_dense_perplexity_nor_the_gram_matrices():
    spec, found = RunSpec(further_evaluations=("hub:c4",)), REVISIONS.model_copy(update={"further_evaluations": ("e2",)})
    assert dense_key(spec, found) == dense_key(RunSpec(), REVISIONS)
    assert grams_key(spec, found) == grams_key(RunSpec(), REVISIONS)
    assert run_key(spec, found) != run_key(spec, REVISIONS.model_copy(update={"further_evaluations": ("e3",)}))
    assert run_key(spec.on_each_text[0], found.on_each_text[0]) == run_key(RunSpec(), REVISIONS)
