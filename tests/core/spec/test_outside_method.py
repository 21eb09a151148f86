"""A method from outside the package is found wherever methods are: nothing in core knows it by name."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import Field, ValidationError
from typer.testing import CliRunner

from cache import run_key
from core import prune, solve
from core.cli import commands
from core.cli.sweeps import grid
from core.layer.problem import LayerProblem
from core.records import RunResult
from core.run.revisions import revisions
from core.spec import METHOD_LABELS, METHODS, RunSpec, Structured, Unstructured, make_method, parse_pattern, register_method
from core.spec.errors import BadInput
from core.spec.flags import command_line, describe_word, method_words, read_words, to_words
from core.spec.methods import Blocked, MethodParameters, Wanda, named, unregister_method
from core.spec.methods.table import methods_table
from tests.cache.examples import REVISIONS
from tests.outside_method import Powers

ROOT = Path(__file__).resolve().parents[3]
LISTS = {"patterns": "0.5", "block_sizes": "auto", "alphas": "0", "seeds": "0"}


@pytest.fixture(autouse=True)
def powers():
    register_method(Powers)
    yield
    unregister_method("powers")


def test_it_is_last_in_the_lists_and_leaves_no_trace():
    assert list(METHODS)[-1] == "powers"
    assert METHOD_LABELS["powers"] == "Powers"
    unregister_method("powers")
    assert "powers" not in METHODS
    assert "exponent" not in method_words()
    with pytest.raises(ValidationError):
        RunSpec.model_validate({"method": {"name": "powers"}})
    with pytest.raises(ValidationError):
        RunSpec(method=Powers())


def test_it_survives_json_and_the_link():
    spec = RunSpec(method=make_method("powers", exponent=2), pattern=parse_pattern("2:4"))
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert to_words(spec) == {"method": "powers", "pattern": "2:4", "exponent": "2"}
    assert read_words(to_words(spec)) == (spec, ())
    assert "--method powers --pattern 2:4 --exponent 2" in command_line(spec)
    assert spec.title == "demo · Powers · 2:4"


def test_its_word_is_checked_and_refused_elsewhere():
    spec, (refused,) = read_words({"method": "powers", "exponent": "9"})
    assert spec.method == Powers()
    assert str(refused) == "exponent: '9' cannot be used. Allowed: at most 4. Used instead: 0.5."
    _, (refused,) = read_words({"method": "wanda", "exponent": "1"})
    assert "for Wanda granularity" in str(refused)
    spec, (refused,) = read_words({"method": "powers", "pattern": "columns:0.3"})
    assert spec.pattern == Unstructured()
    assert "for Powers, 0.5" in str(refused)
    assert describe_word("exponent").help == "a: how much the inputs count. (powers)"


def test_it_has_a_key_of_its_own():
    keys = {run_key(RunSpec(method=method), REVISIONS) for method in (Powers(), Powers(exponent=1), make_method("wanda"))}
    assert len(keys) == 3
    assert revisions(RunSpec(method=Powers())).method == 7


def test_its_flag_in_a_sweep_is_its_own(capsys):
    specs = grid({"exponent": "1"}, methods="wanda,powers", **LISTS)
    assert [spec.method for spec in specs] == [make_method("wanda"), Powers(exponent=1)]
    assert "Left out: --exponent for Wanda, which has none." in capsys.readouterr().err
    with pytest.raises(BadInput, match=r"exponent: '1' cannot be used. Allowed: with powers. Thanos has none"):
        grid({"exponent": "1"}, methods="thanos", **LISTS)


def test_it_is_in_the_table():
    assert r"| Powers | \|W\|·‖X‖ᵃ | as they are | 0 |" in methods_table().splitlines()


@pytest.mark.parametrize(("exponent", "twin"), [(0, {"method": "magnitude", "granularity": "row"}), (1, {"method": "wanda"})])
@pytest.mark.parametrize("pattern", ["0.5", "2:4"])
def test_it_solves(exponent, twin, pattern):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(16, 64, generator=generator) * torch.arange(1, 17)[:, None]
    problem = LayerProblem(weight=torch.randn(8, 16, generator=generator), gram=inputs @ inputs.T, tokens=64)
    found = solve(problem, "powers", parse_pattern(pattern, alpha=0.2), exponent=exponent)
    assert torch.equal(found.weight, solve(problem, pattern=parse_pattern(pattern, alpha=0.2), **twin).weight)
    with pytest.raises(BadInput, match="single entries"):
        solve(problem, "powers", Structured())


def test_it_prunes_a_model_on_the_command_line(small, tmp_path):
    spec = small[0](method=Powers(exponent=1), allocation="even")
    *_, last = prune(spec)
    words = {**to_words(spec), "model": spec.model}
    flags = [part for word, text in words.items() if word not in ("method", "exponent") for part in (f"--{word.replace('_', '-')}", text)]
    app = importlib.reload(commands).app
    done = CliRunner().invoke(app, ["sweep", *flags, "--methods", "powers,wanda", "--exponent", "1", "--json", str(tmp_path / "s.json")])
    assert done.exit_code == 0, done.output
    first, second = (RunResult.model_validate(run) for run in json.loads((tmp_path / "s.json").read_text())["runs"])
    assert first.spec == spec
    assert first.pruned.perplexity == second.pruned.perplexity == last.result.pruned.perplexity
    assert "Powers" in done.stdout


def test_a_module_named_in_the_environment_is_loaded(tmp_path):
    (tmp_path / "mine.py").write_text("from core.spec import register_method\nfrom tests.outside_method import Powers\n"
                                      "register_method(Powers)\n")
    environment = {**os.environ, "PRUNESCOPE_METHODS": "mine", "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}

    def call(**changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "core", "methods", "--markdown"], cwd=ROOT, env={**environment, **changes},
                              capture_output=True, text=True, check=False, timeout=120)

    assert "| Powers |" in call().stdout
    missing = call(PRUNESCOPE_METHODS="none_such")
    assert "PRUNESCOPE_METHODS: 'none_such' cannot be used" in missing.stderr


class _Unnamed(MethodParameters):
    """No name."""

    label = "Unnamed"


class _Unlabeled(MethodParameters):
    """No label."""

    name: str = named("unlabeled")


class _Mute(MethodParameters):
    """A parameter that forms could not explain."""

    label = "Mute"
    name: str = named("mute")
    level: int = 3


class _Blockless(Blocked):
    """The trait without its field."""

    label = "Blockless"
    name: str = named("blockless")


class _Untraited(MethodParameters):
    """The field without its trait."""

    label = "Untraited"
    name: str = named("untraited")
    damping: float = Field(default=0.1, title="Damping", description="λ")


class _Taken(Wanda):
    """Another class of a name that is taken."""


@pytest.mark.parametrize(("method", "said"), [
    (_Unnamed, "name"), (_Unlabeled, "label"), (_Mute, "level"), (_Blockless, "block_size"), (_Untraited, "damping"), (_Taken, "name"),
])
def test_declarations_that_do_not_fit_are_refused(method, said):
    before = dict(METHODS)
    with pytest.raises(BadInput, match=f"^{said}: "):
        register_method(method)
    assert before == METHODS


def test_the_docs_have_the_table_of_the_methods_here():
    unregister_method("powers")
    assert methods_table() in (ROOT / "docs" / "methods" / "README.md").read_text(encoding="utf-8")
    for method in METHODS.values():
        assert (ROOT / "docs" / "methods" / method.summary.page).is_file(), method.label
