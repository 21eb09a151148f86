"""What several tests of the core begin with."""

import pytest

from core.spec import Calibration, Evaluation, RunSpec, make_method
from tests import pretended_gpu
from tests.core.families import save_family

pretended_gpu.register()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small LLaMA with random weights and ready windows whose sparsity is shared out between layers: spec(**changes), folder."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    folder = save_family("llama", tmp_path)
    source = f"windows:{folder / 'windows.npy'}"

    def spec(**changes) -> RunSpec:
        given = {"allocation": "marginal", "method": make_method("sparsegpt", block_size=16), **changes}
        return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8),
                       evaluation=Evaluation(source=source, windows=5), **given)

    return spec, folder
