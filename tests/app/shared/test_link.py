"""Links: every run survives the trip through its link, and nothing a link can say breaks a page."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.shared.link import check_words, command_line, from_words, method_words, run_words, to_words
from core.spec import METHODS, UPDATES, Calibration, Evaluation, RunSpec, make_method
from core.spec.errors import BadInput
from core.spec.patterns import SemiStructured, Structured, Unstructured

SHARES = st.one_of(st.integers(0, 99).map(lambda k: k / 100), st.floats(0, 1, exclude_max=True))
COUNTS = st.integers(1, 100_000)
LENGTHS = st.none() | st.integers(2, 131_072)
SOURCES = st.sampled_from(["embedded", "text:notes.txt", "hub:wikitext", "windows:a b.npy"])


def _or_none(make, *values, **named):
    try:
        return make(*values, **named)
    except ValueError:
        return None


def _methods():
    found = []
    for name, kind in METHODS.items():
        parameters = {}
        for field, declared in kind.model_json_schema()["properties"].items():
            if field == "name":
                continue
            schema = next((one for one in declared.get("anyOf", ()) if one.get("type") != "null"), declared)  # automatic, or a number
            if "enum" in schema:
                parameters[field] = st.sampled_from(schema["enum"])
            elif schema.get("type") == "boolean":
                parameters[field] = st.booleans()
            elif schema.get("type") == "number":
                least = schema.get("minimum", schema.get("exclusiveMinimum"))
                parameters[field] = st.floats(least, schema["maximum"], exclude_min="minimum" not in schema)
            else:
                parameters[field] = st.integers(schema.get("minimum", 1), min(4096, schema.get("maximum", 4096)))
        found.append(st.fixed_dictionaries({}, optional=parameters).map(lambda values, name=name: make_method(name, **values)))
    return st.one_of(found)


PATTERNS = st.one_of(
    st.builds(lambda **v: _or_none(Unstructured, **v), sparsity=SHARES, outlier_rows=SHARES,
              alpha_budget=st.sampled_from(["paper", "iso"])),
    st.builds(lambda **v: _or_none(SemiStructured, **v), n=st.integers(0, 16), m=st.integers(1, 16),
              outlier_rows=st.sampled_from([0.0, 0.1, 0.5]), alpha_budget=st.sampled_from(["paper", "iso"])),
    st.builds(lambda **v: _or_none(Structured, **v), sparsity=SHARES, outlier_rows=SHARES),
).filter(lambda pattern: pattern is not None)

def _run(**values):
    """Any run; a method that has no meaning for the pattern gets one that it has, and one update is enough."""
    if values["pattern"].kind in values["method"].refuses:
        values["pattern"] = Unstructured()
    if values["update"] != "own":
        values["refit"] = False
    if values["pattern"].kind == "semi-structured":
        values["allocation"] = "even"
    if values["calibration"].windows < 2:
        values["reconstruct"] = 0
    return RunSpec(**values)


SPECS = st.builds(
    _run,
    model=st.sampled_from(["demo", "stories260K", "facebook/opt-125m", "ein modell/größe"]),
    revision=st.none() | st.sampled_from(["main", "0123abc"]),
    method=_methods(), pattern=PATTERNS, update=st.sampled_from(list(UPDATES)), refit=st.booleans(), true_sequential=st.booleans(),
    allocation=st.sampled_from(["even", "marginal"]), propagation=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    fisher=st.sampled_from([0.0, 0.5, 1.0]), random_rows=st.none() | st.integers(0, 9),
    reconstruct=st.sampled_from([0, 4]), reconstruct_aim=st.sampled_from(["model", "block"]),
    calibration=st.builds(Calibration, source=SOURCES, windows=COUNTS, length=LENGTHS, seed=st.integers(0, 2**31 - 1)),
    evaluation=st.builds(Evaluation, source=SOURCES, windows=st.none() | COUNTS, length=LENGTHS),
    device=st.sampled_from(["auto", "cpu", "cuda"]),
)


@given(SPECS)
def test_every_run_survives_the_trip(spec):
    words = to_words(spec)
    assert set(words) <= set(run_words())
    assert from_words(words) == (spec, ())


@given(SPECS)
def test_the_command_line_says_what_the_link_says(spec):
    parts = shlex.split(command_line(spec))
    assert parts[:4] == ["python", "-m", "core", "prune"]
    words, flag = {}, ""
    for part in parts[4:]:
        if part.startswith("--"):
            flag, words[part[2:].replace("-", "_")] = part[2:].replace("-", "_"), "true"
        else:
            words[flag] = part
    assert {"model", "method", "pattern"} <= set(words)
    assert from_words(words) == (spec, ())


ANYTHING = st.one_of(st.text(max_size=40), st.integers().map(str), st.floats().map(str), st.sampled_from(
    ["", "nan", "-1", "1e400", "9" * 500, "true", "2:4", "4:2", "columns:0.9", "../x", "/etc/passwd", "\x00", "<script>", "None",
     "0.99", "iso"]))


@given(st.dictionaries(st.sampled_from((*run_words(), "run", "unknown")), ANYTHING))
def test_no_link_breaks_and_every_loss_is_told(words):
    spec, notes = from_words(words)
    again, silence = from_words(to_words(spec))
    assert again == spec
    assert silence == ()
    for note in notes:
        word = note.partition(":")[0]
        assert word in words or word == "alpha_budget"
        assert "cannot be used. Allowed: " in note
    strict, complaints = check_words(words)
    assert (strict is None) == bool(complaints) == bool(notes)
    assert strict is None or strict == spec


def test_a_second_update_in_a_link_is_told_and_left_out():
    spec, notes = from_words({"update": "sweep", "refit": "true", "method": "wanda"})
    assert (spec.update, spec.refit, spec.method.name) == ("own", True, "wanda")
    assert notes == ("update: 'sweep' cannot be used. Allowed: with the exact refit only own. Used instead: own.",)
    assert from_words({"update": "sweep"})[0].update == "sweep"


def test_the_default_run_has_an_empty_link():
    assert to_words(RunSpec()) == {}


@pytest.mark.parametrize(("pattern", "automatic"), [("0.5", 128), ("2:4", 512)])
def test_an_automatic_block_size_is_not_in_the_link(pattern, automatic):
    spec, _ = from_words({"pattern": pattern})
    assert spec.method.block_size == automatic
    assert "block_size" not in to_words(spec)
    other, _ = from_words({"pattern": pattern, "block_size": "7"})
    assert to_words(other)["block_size"] == "7"


@pytest.mark.parametrize(("words", "told"), [
    ({"pattern": "9:4"}, ["pattern: '9:4'", "n from 0 to m = 4", "Used instead: 0.5"]),
    ({"pattern": "1.5"}, ["pattern: '1.5'", "less than 1", "Used instead: 0.5"]),
    ({"alpha": "1"}, ["alpha: '1'", "less than 1.", "Used instead: 0."]),
    ({"method": "magic"}, ["method: 'magic'", "magnitude, wanda", "Used instead: thanos"]),
    ({"block_size": "0"}, ["block_size: '0'", "at least 1", "Used instead: auto"]),
    ({"method": "wanda", "block_size": "64"}, ["block_size: '64'", "for Wanda granularity", "left out"]),
    ({"pattern": "columns:0.8", "alpha": "0.3"}, ["alpha: '0.3'", "at most 1 − p = 0.2", "Used instead: 0"]),
    ({"pattern": "0.9", "alpha": "0.3", "alpha_budget": "iso"}, ["alpha_budget", "iso with α = 0.3", "Used instead: paper"]),
    ({"evaluation_windows": "x"}, ["evaluation_windows: 'x'", "Used instead: auto"]),
    ({"model": "../../etc"}, ["model: '../../etc'", "Used instead: demo"]),
    ({"utm_source": "mail"}, ["utm_source: 'mail'", "such as model, revision and dtype", "left out"]),
    ({"dampning": "0.1"}, ["dampning: '0.1'", "perhaps damping", "left out"]),
])
def test_a_refused_word_says_field_value_allowed_and_what_is_used(words, told):
    spec, notes = from_words(words)
    assert len(notes) == 1
    for text in told:
        assert text in notes[0]
    assert isinstance(spec, RunSpec)


def test_one_bad_word_costs_only_itself():
    spec, notes = from_words({"method": "sparsegpt", "block_size": "64", "damping": "-1", "windows": "16", "seed": "x"})
    assert spec.method == make_method("sparsegpt", block_size=64)
    assert (spec.calibration.windows, spec.calibration.seed) == (16, 0)
    assert [note.partition(":")[0] for note in notes] == ["damping", "seed"]


def test_a_form_is_refused_instead_of_changed():
    spec, complaints = check_words({"pattern": "0.9", "alpha": "0.3", "alpha_budget": "iso"})
    assert spec is None
    assert "lower α or p" in complaints[0]


def test_every_parameter_of_every_method_is_a_word():
    for name, kind in METHODS.items():
        for field in set(kind.model_fields) - {"name"}:
            assert field in method_words(), name


def test_words_outside_a_method_say_whose_they_are():
    with pytest.raises(BadInput):
        make_method("wanda", block_size=3)


def test_an_uneven_allocation_of_groups_is_told_and_left_out():
    spec, notes = from_words({"allocation": "marginal", "pattern": "2:4"})
    assert (spec.allocation, spec.pattern.kind) == ("even", "semi-structured")
    assert notes == ("allocation: 'marginal' cannot be used. Allowed: for 2:4 only even. Used instead: even.",)
    assert from_words({"allocation": "marginal"})[0].allocation == "marginal"
