"""Commands in processes of their own, forked from a server that has imported core once: they can be killed like any other process."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["core.cli.commands", "core.run.pipeline", "core.run.kept_blocks", "core.export.folder",
                                 "core.export.check", "transformers.models.llama.modeling_llama", __name__])


class Command:
    """`python -m core` with these words, after some lines of code; `returncode` is None until it has ended, negative for a signal."""

    def __init__(self, *words: str, code: str = "") -> None:
        self._output = Path(tempfile.mkdtemp(dir=os.environ["PRUNESCOPE_HOME"]))
        self._process = _context.Process(target=_main, args=(words, code, dict(os.environ), str(self._output)), daemon=True)
        with pytest.MonkeyPatch.context() as patch:  # a page that was tested before is __main__, and would be run again in the process
            patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
            self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> tuple[str, str]:
        """What it has said on both outputs, once it has ended."""
        self._process.join(240)
        assert self.returncode is not None, "it does not end"
        return (self._output / "out").read_text(), (self._output / "err").read_text()


def _main(words: tuple[str, ...], code: str, environment: Mapping[str, str], output: str) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(output, name), os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = ["core", *words]
    exec(f"{code}\nfrom core.cli.commands import main\nmain()", {"sys": sys})
