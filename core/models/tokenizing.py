"""Tokenizers of model folders: whether one can be used, and its loading, refused in words. No torch at import.

    check_tokenizer_files(source)     from the names and first bytes of its files, in a moment; the web server asks this
    load_tokenizer(source)            the tokenizer itself; imports transformers
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.models.sources import ModelSource
from core.spec import RunSpec
from core.spec.errors import BadInput

_ALLOWED = "a folder with the tokenizer that the model was trained with (tokenizer.json, or tokenizer.model, vocab.json, …)"
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
          "tokenizer.model.v3", "qwen.tiktoken", "tiktoken.model", "vocab.tiktoken", "sentencepiece.model", "bpe.model", "spm.model")
_POINTER = b"version https://git-lfs.github.com/spec/"
_SAVE = "Save it beside the weights: transformers.AutoTokenizer.from_pretrained(THE_MODEL).save_pretrained(THIS_FOLDER)."


def reads_text(spec: RunSpec) -> bool:
    """True if a run needs a tokenizer: not where all texts are ready token windows."""
    return not all(source.startswith("windows:") for source in [text.source for text in (
        spec.calibration, spec.evaluation, *spec.further_evaluations)])


def check_tokenizer_files(source: ModelSource) -> None:
    """Raise BadInput (field "model") for a folder without a tokenizer, or with a Git LFS pointer in the place of one."""
    found = [source.path / name for name in _FILES if (source.path / name).is_file()]
    if not found and not any(source.path.glob("*.tiktoken")):
        raise refused_tokenizer(source, "It has none.")
    for file in found:
        with file.open("rb") as stream:
            if stream.read(len(_POINTER)) == _POINTER:
                raise refused_tokenizer(source, f"Its {file.name} is a Git LFS pointer in the place of the file: finish the download with "
                                                "`git lfs pull`.")


def load_tokenizer(source: ModelSource) -> Any:
    """The tokenizer of a folder. Raises BadInput, with the library that is missing where that is the reason. Runs no code of the folder."""
    check_tokenizer_files(source)
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(source.path), local_files_only=True, trust_remote_code=False)
        ids = tokenizer("The tokenizer can be used.", verbose=False)["input_ids"]
    except MemoryError:
        raise
    except Exception as error:  # tokenizers fail in as many ways as there are kinds
        raise refused_tokenizer(source, _reason(source.path, error)) from error
    if not ids:
        raise refused_tokenizer(source, "It makes no tokens of a plain sentence.")
    return tokenizer


def refused_tokenizer(source: ModelSource, why: str) -> BadInput:
    """A model whose tokenizer cannot be used."""
    return BadInput("model", source.name, _ALLOWED, f"{why} {_SAVE}")


def _reason(path: Path, error: Exception) -> str:
    """The library that a kind of tokenizer needs, where it is not installed; else what transformers says."""
    words = str(error).strip()
    missing = [name for name in ("sentencepiece", "tiktoken", "mistral_common", "protobuf") if name in words.lower()]
    if missing and not (path / "tokenizer.json").is_file():
        return f"Its kind needs {' or '.join(missing)}: `pip install {missing[0]}` beside PruneScope, or give it a tokenizer.json."
    reason = f"without {words}, which it should have" if isinstance(error, KeyError) else words.splitlines()[0][:300] if words else ""
    return f"It does not load: {reason or type(error).__name__}."
