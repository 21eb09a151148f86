"""What every test gets: a private PRUNESCOPE_HOME, the repository on the path, few threads (PRUNESCOPE_THREADS, by default 1).

And their order: the longest files first, those that wait for browsers and workers beside those that compute, so that no process is left
alone with a long file at the end. The files of each line of TOGETHER go to one process, where
they share a server, a cluster or a heavy import.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
LONGEST = tuple(f"tests/{name}.py" for name in (
    "browser/test_explore", "app/gallery/test_gallery", "browser/test_compare", "app/workers/jobs/test_recovery",
    "app/workers/jobs/test_runs", "core/run/test_pipeline", "browser/test_learn", "pages/test_explore", "pages/test_controls",
    "app/workers/test_answers", "browser/test_outliers", "core/whatif/test_session", "pages/test_layers", "browser/test_layers",
    "app/workers/test_cluster", "core/test_gpu", "browser/test_curves", "pages/test_curves", "core/methods/test_numerics",
    "pages/test_learn", "pages/test_outliers", "core/cli/test_commands", "core/linalg/test_products", "core/methods/test_textbook",
    "core/linalg/test_swaps", "core/run/test_allocation",
))
TOGETHER = (
    ("tests/browser/",), ("tests/app/workers/jobs/",),
    ("tests/core/evaluate/", "tests/core/cli/test_tasks", "tests/app/workers/test_scoring"),
)

# Before anything imports numpy or torch, so that neither they nor the tests' subprocesses start one thread a core: threads of several
# processes on two cores wait for each other, and the suite takes twice as long. Tests of several threads set their number.
THREADS = os.environ.setdefault("PRUNESCOPE_THREADS", "1")
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = THREADS
os.environ["PRUNESCOPE_COLD"] = "1"  # workers that tests start import torch when somebody asks, and open no session before
hypothesis.settings.register_profile("prunescope", deadline=None)  # a busy machine is not a failure
hypothesis.settings.load_profile("prunescope")
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
importlib.import_module("app.workers")  # confines the process; the fixture `prunescope_home` says for each test whether it is
importlib.import_module("distributed")  # a page imports it in a thread, with loggers that come while pytest walks the list of all loggers


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


class _Scheduling(LoadFileScheduling):
    """Whole files to a process, and those of a line of TOGETHER to one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((line[0] for line in TOGETHER if file.startswith(line)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling | None:
    """For `make test`; another --dist than loadfile stays what it is."""
    return _Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Fixtures that outlive a test must not find the real home either."""
    homes = tmp_path_factory.mktemp("homes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_HOME", str(homes / "session"))
        yield homes
    for started in tmp_path_factory.getbasetemp().rglob("cluster/*/processes.json"):  # by a thread, say, that outlived its test
        importlib.import_module("app.workers.cluster").stop_cluster(started.parents[2])


_numbers = itertools.count()  # tmp_path lists all folders made before: too slow for thousands of tests


@pytest.fixture(autouse=True)
def prunescope_home(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PRUNESCOPE_HOME for this test. Tests that share a store or a cluster override this fixture."""
    home = _homes / str(next(_numbers))
    home.mkdir()
    monkeypatch.setenv("PRUNESCOPE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def _rights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of core are a user's own Python, which reads any path; those of app and pages are confined, as a server is."""
    if (ROOT / "tests" / "core") in request.path.parents:
        monkeypatch.delenv("PRUNESCOPE_CONFINED", raising=False)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Text and small models that are not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is not there: this test needs the shared data next to the repository")
    return SHARED_DATA


@pytest.fixture(scope="session")
def stories260k(shared_data: Path) -> Path:
    """A LLaMA of 260 thousand real weights; some of its layers have 172 inputs."""
    folder = shared_data / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: this test needs the stories260K checkpoint")
    return folder


@pytest.fixture
def layer():
    """make(rows, columns, *, tokens=…, dead=(…), seed=0, shift=0.0, dtype=torch.float64) -> LayerProblem on correlated inputs."""
    import torch

    from core import LayerProblem
    from tests.oracles import random_inputs

    def make(rows: int, columns: int, *, dtype: torch.dtype = torch.float64, name: str = "layer", **options: Any) -> LayerProblem:
        weight, inputs = random_inputs(rows, columns, **options)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return LayerProblem(weight=torch.tensor(weight, dtype=dtype), gram=torch.tensor(inputs @ inputs.T, dtype=wide),
                            mean=torch.tensor(inputs.mean(1), dtype=wide), tokens=inputs.shape[1], name=name)

    return make


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A device that is not the CPU: a pretended one everywhere (tests/pretended_gpu.py), and a real one where there is one."""
    import torch

    from tests.pretended_gpu import RealGpu, pretended_gpu

    if request.param == "pretended":
        with pretended_gpu() as device:
            yield device
    elif torch.cuda.is_available():
        yield RealGpu()
    else:
        pytest.skip("needs a CUDA device")
