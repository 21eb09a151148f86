"""Every question is answered on a GPU as it is on the CPU."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from app.workers.questions import SessionQuestion
from core.models.open_model import open_model
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.base import FrozenModel
from core.whatif.session import Session

SPEC = RunSpec(calibration=Calibration(windows=16, length=64), evaluation=Evaluation(windows=2, length=64), method=make_method("wanda"),
               pattern=parse_pattern("0.5", alpha=0.1))
LAYER = "model.layers.2.self_attn.o_proj"
OTHER = SPEC.model_copy(update={"method": make_method("thanos")})
ASKED = {"spec": SPEC, "layer": LAYER, "methods": ("wanda", "sparsegpt"), "other": OTHER, "alpha": 0.1, "row": 1, "column": 2,
         "draws": 1, "draw": 0, "iterations": 5}
LONG = ("PreviewQuestion",)  # core/test_gpu.py has a preview there too
TIMES = ("seconds", "sweep_seconds")
ROOT = Path(__file__).resolve().parents[3]


def every_question() -> list[type[SessionQuestion]]:
    files = [*ROOT.glob("app/*/questions.py"), *ROOT.glob("app/*/questions/*.py")]
    modules = [importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts)) for file in files]
    values = [value for module in modules for value in vars(module).values()]
    found = {value for value in values if isinstance(value, type) and issubclass(value, SessionQuestion)}
    return sorted(filter(lambda kind: not inspect.isabstract(kind), found), key=lambda kind: kind.__name__)


def same(here: object, there: object, path: str) -> None:
    """Counts and words exactly, what is computed as rounding allows, times not at all."""
    assert type(here) is type(there), path
    if isinstance(here, FrozenModel) or dataclasses.is_dataclass(here):
        fields = type(here).model_fields if isinstance(here, FrozenModel) else [field.name for field in dataclasses.fields(here)]
        for name in fields:
            if name not in TIMES:
                same(getattr(here, name), getattr(there, name), f"{path}.{name}")
    elif isinstance(here, (list, tuple)):
        assert len(here) == len(there), path
        for index, pair in enumerate(zip(here, there, strict=True)):
            same(*pair, f"{path}[{index}]")
    elif isinstance(here, dict):
        assert here.keys() == there.keys(), path
        for key in here:
            same(here[key], there[key], f"{path}[{key}]")
    elif isinstance(here, np.ndarray) and here.dtype.kind == "f":
        np.testing.assert_allclose(there, here, rtol=1e-2, atol=1e-4 * float(np.abs(here).max(initial=0)), err_msg=path)
    elif isinstance(here, np.ndarray):
        assert (here != there).mean() < 0.02, path
    elif isinstance(here, float):
        assert there == pytest.approx(here, rel=5e-2 if "optimum" in path else 1e-2, abs=1e-7), path  # an optimum is sought for so long
    else:
        assert here == there, path


@pytest.fixture(scope="module")
def here():
    return Session(open_model(SPEC, torch.device("cpu")))


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__, marks=[pytest.mark.long] if kind.__name__ in LONG else [])
                                  for kind in every_question()])
def test_a_question_is_answered_there_as_here(kind, here, gpu):
    question = kind(**{name: ASKED[name] for name in kind.model_fields if name in ASKED})
    there = Session(open_model(SPEC, gpu.device))
    same(question.answer(here), question.answer(there), kind.__name__)
