"""Console of the commands: what a run has computed is written to its files, though nobody reads the screen any more."""

from __future__ import annotations

import os

from rich.console import Console


class Screen(Console):
    """Rich's console. Where the reader of a pipe has gone (`| head`), the rest is not shown, and the command goes on."""

    def on_broken_pipe(self) -> None:
        """Called by Rich, whose own ends the process: a result that is shown before it is written would be lost."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)
