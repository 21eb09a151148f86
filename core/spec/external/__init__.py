"""Modules of other packages that register methods of their own. No torch.

A module named in PRUNESCOPE_METHODS (several with commas) is imported with `core.spec`, by the server, the workers and the command line
alike.
"""

from __future__ import annotations

import importlib
import os

from core.spec.errors import BadInput


def load_methods() -> None:
    """Import the modules of PRUNESCOPE_METHODS. Raises BadInput for one that cannot be imported."""
    for module in filter(None, map(str.strip, os.environ.get("PRUNESCOPE_METHODS", "").split(","))):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise BadInput("PRUNESCOPE_METHODS", module, "modules on the Python path, with commas", str(error)) from error
