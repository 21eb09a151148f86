"""Runs and methods as data: frozen, validated, the same after a trip through JSON; the public names of core stay as they are."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

import core
from core.spec import (
    METHOD_LABELS,
    METHODS,
    Calibration,
    Evaluation,
    RunSpec,
    SemiStructured,
    SparseGPT,
    Structured,
    Thanos,
    Unstructured,
    make_method,
)
from core.spec.errors import BadInput, Diverged, IllConditioned, PruneError, input_errors

PUBLIC = [
    "BadInput", "Calibration", "Diverged", "Evaluation", "IllConditioned", "LayerProblem", "LayerSolution", "Magnitude", "PruneError",
    "RunSpec", "SemiStructured", "SparseGPT", "Step", "Structured", "Thanos", "Unstructured", "Wanda", "optimum",
    "parse_pattern", "plan", "prune", "solve", "steps", "update",
]


def complaint(make, *arguments, **values) -> BadInput:
    with pytest.raises((BadInput, ValidationError)) as caught:
        make(*arguments, **values)
    if isinstance(caught.value, BadInput):
        return caught.value
    (found,) = input_errors(caught.value)
    return found


def test_the_public_names_of_core_are_frozen():
    """The app, the command line and other programs stand on these: adding one is a decision, losing one breaks somebody."""
    assert sorted(core.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_a_class_or_a_function(name):
    assert callable(getattr(core, name))


def test_no_module_hides_a_public_name():
    """An imported submodule becomes an attribute of its package: a lazy name of the same spelling would then never be asked for."""
    assert not {path.stem for path in Path(core.__file__).parent.iterdir()} & set(core.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="prune_everything"):
        core.prune_everything  # noqa: B018


# Methods.


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_made_by_its_name_and_survives_json(name):
    method = make_method(name)
    assert method.name == name
    assert method.version >= 1
    assert METHOD_LABELS[name]
    assert type(method).model_validate_json(method.model_dump_json()) == method


def test_the_defaults_are_those_of_the_papers():
    assert make_method("wanda").granularity == "row"
    assert make_method("magnitude").granularity == "layer"
    assert make_method("sparsegpt").damping == make_method("thanos").damping == 0.01
    assert not make_method("thanos").raise_damping


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_can_explain_itself_on_a_form(name):
    for field, about in METHODS[name].model_fields.items():
        if field != "name":
            assert about.title, field
            assert about.description, field


@pytest.mark.parametrize(("name", "values", "field", "words"), [
    ("optimal-brain", {}, "method", ("optimal-brain", "magnitude", "wanda", "sparsegpt", "thanos")),
    ("thanos", {"block_size": 0}, "block_size", ("0", "at least 1")),
    ("sparsegpt", {"block_size": -128}, "block_size", ("-128", "at least 1")),
    ("thanos", {"damping": -0.1}, "damping", ("-0.1", "at least 0")),
    ("thanos", {"damping": float("nan")}, "damping", ("nan",)),
    ("wanda", {"granularity": "block"}, "granularity", ("block", "layer", "row")),
    ("wanda", {"block_size": 128}, "block_size", ("128", "granularity")),
    ("magnitude", {"damping": 0.1}, "damping", ("0.1", "granularity")),
])
def test_bad_parameters_name_field_value_and_what_is_allowed(name, values, field, words):
    found = complaint(make_method, name, **values)
    assert found.field == field
    assert all(word in str(found) for word in words), str(found)


@pytest.mark.parametrize(("pattern", "block_size"), [
    (Unstructured(sparsity=0.5), 128), (Structured(sparsity=0.3), 128), (SemiStructured(n=2, m=4), 512),
])
def test_thanos_chooses_its_block_size_by_the_pattern(pattern, block_size):
    assert make_method("thanos").resolved(pattern).block_size == block_size
    assert make_method("thanos", block_size=64).resolved(pattern).block_size == 64
    assert make_method("sparsegpt").resolved(pattern).block_size == 128


# Runs.

patterns = st.one_of(
    st.builds(lambda p, a: Unstructured(sparsity=p / 100, outlier_rows=a / 100), st.integers(0, 99), st.integers(0, 99)),
    st.builds(lambda p, a: Structured(sparsity=p / 100, outlier_rows=a / 100), st.integers(0, 40), st.integers(0, 50)),
    st.integers(1, 32).flatmap(lambda m: st.builds(lambda n: SemiStructured(n=n, m=m), st.integers(0, m))),
)
methods = st.one_of(
    st.sampled_from(sorted(METHODS)).map(make_method),
    st.builds(lambda b, d: Thanos(block_size=b, damping=d / 100), st.integers(1, 4096), st.integers(0, 100)),
    st.builds(lambda b: SparseGPT(block_size=b), st.integers(1, 4096)),
)


@given(pattern=patterns, method=methods, refit=st.booleans(), windows=st.integers(1, 100), seed=st.integers(0, 2**31 - 1))
def test_runs_go_round_through_json(pattern, method, refit, windows, seed):
    assume(pattern.kind not in method.refuses)
    spec = RunSpec(pattern=pattern, method=method, refit=refit, calibration=Calibration(windows=windows, seed=seed))
    again = RunSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert json.loads(again.model_dump_json()) == json.loads(spec.model_dump_json())


def test_a_run_says_what_automatic_means():
    """Two ways to ask for the same run are the same run, so they share a result."""
    assert RunSpec().method.block_size == 128
    assert RunSpec(method=Thanos(block_size=128)) == RunSpec()
    assert RunSpec(pattern=SemiStructured(n=2, m=4)).method.block_size == 512


def test_runs_are_frozen_and_know_no_other_fields():
    with pytest.raises(ValidationError):
        RunSpec().model = "other"
    assert complaint(RunSpec, speed="fast").field == "speed"


@pytest.mark.parametrize("name", [
    "/etc", "../secrets", "a/../../b", "a//b", "./a", "~root/x", "a\\b", "a\x00b", "a\nb", "a\u202eb", "owner/", "/", "..",
    "x" * 300,
])
def test_model_names_that_could_leave_the_folder_are_refused(name):
    assert complaint(RunSpec, model=name).field == "model"


@pytest.mark.parametrize("name", ["demo", "owner/name", "folder", "folder/below/it", "meta-llama/Llama-3.2-1B", "stories260K"])
def test_model_names_that_cannot_are_accepted(name):
    assert RunSpec(model=name).model == name


@pytest.mark.parametrize(("kind", "field"), [(Calibration, "calibration"), (Evaluation, "evaluation")])
@pytest.mark.parametrize("source", ["", "file.txt", "text:", "hub:", "windows:tokens.bin", "windows:", "ftp:x", "text:a\nb"])
def test_text_sources_of_another_form_are_refused(kind, field, source):
    found = complaint(kind, source=source)
    assert found.field == field
    assert "text:FILE" in str(found)


@pytest.mark.parametrize("kind", [Calibration, Evaluation])
@pytest.mark.parametrize("source", ["embedded", "text:a.txt", "hub:wikitext", "windows:tokens.npy"])
def test_text_sources_of_these_forms_are_accepted(kind, source):
    assert kind(source=source).source == source


@pytest.mark.parametrize(("kind", "values"), [
    (Calibration, {"windows": 0}), (Calibration, {"length": 1}), (Calibration, {"seed": -1}), (Evaluation, {"windows": 0}),
    (Evaluation, {"length": 0}), (Calibration, {"windows": 10**9}),
])
def test_numbers_out_of_range_are_refused(kind, values):
    ((field, value),) = values.items()
    found = complaint(kind, **values)
    assert (found.field, found.value) == (field, value)
    assert "at least" in found.allowed or "at most" in found.allowed


# Errors.


@pytest.mark.parametrize("error", [
    BadInput("block_size", 0, "at least 1", "Raise it."),
    IllConditioned("blocks.0.q", -1e-9, 0.0),
    Diverged("blocks.0.q", "Frontier", 9.2, "Raise the damping."),
])
def test_errors_survive_the_way_from_a_worker(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert isinstance(again, PruneError)


def test_ill_conditioned_says_what_to_do():
    text = str(IllConditioned("blocks.3.down", -2.5e-7, 0.001))
    for word in ("blocks.3.down", "-2.5e-07", "0.001", "0.01", "calibration tokens"):
        assert word in text


def test_long_values_are_cut_in_messages():
    assert len(str(BadInput("pattern", "x" * 10_000, "a word", "Write one."))) < 200


def test_several_bad_fields_are_several_complaints():
    with pytest.raises(ValidationError) as caught:
        Calibration(windows=0, length=0, seed=-1)
    assert [found.field for found in input_errors(caught.value)] == ["windows", "length", "seed"]
