"""The folders a person puts models and texts into: made at the first start, with a README that says what belongs there."""

from __future__ import annotations

from contextlib import suppress

from core.data.places import models_root, texts_root

_MODELS = """Models for PruneScope: one Hugging Face folder each (config.json, tokenizer, safetensors), up to three folders deep.
PRUNESCOPE_MODELS names another folder; links that lead out of it are refused, so put the files themselves here.
"""
_TEXTS = """Texts to calibrate and evaluate on: .txt, .jsonl, .json, .csv, .parquet, or token windows as .npy, up to three folders deep.
PRUNESCOPE_TEXTS names another folder; what a browser asks for is read from it alone, and links that lead out of it are refused.
"""


def prepare_folders() -> None:
    """Make the folders that are missing. A folder that is there, or a disk that cannot be written, is left as it is."""
    for folder, words in ((models_root(), _MODELS), (texts_root(), _TEXTS)):
        with suppress(OSError):
            if not folder.exists():
                folder.mkdir(parents=True)
                (folder / "README").write_text(words)
