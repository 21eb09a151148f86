"""The shipped demo model and the script that trained it."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
