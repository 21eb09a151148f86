"""Text to token windows: int64 [n, length], for calibration (drawn by a seed) and evaluation (in order, tail dropped)."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from core.data.texts import Split, Text, read_text
from core.spec import Calibration, Evaluation
from core.spec.errors import BadInput

Encode = Callable[[str], "list[int] | np.ndarray"]
EMBEDDED_WINDOWS = 64  # of the embedded text by default: a first visit should not wait
MAX_TOKENS = 1 << 27  # of ready windows: 1 GiB as int64
MAX_LENGTH = 2048  # the literature's window: min(2048, context)


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """`tokens` int64 [n, length], and where they come from."""

    tokens: Tensor
    description: str
    sha256: str


def window_length(asked: int | None, context: int, field: str) -> int:
    """The length asked for, or min(2048, context). Raises BadInput above the model's context."""
    if asked is not None and asked > context:
        raise BadInput(f"{field}_length", asked, f"2 to {context}, the context of this model", "Use a shorter window.")
    return asked or min(MAX_LENGTH, context)


def calibration_windows(spec: Calibration, encode: Encode, context: int, vocabulary: int) -> Windows:
    """`spec.windows` windows drawn by `spec.seed`.

    From one long text: different ones of its consecutive windows. From many documents: documents in random order, one window
    at a random place of each that is longer than a window, and again from the start when they run out, as in the literature.
    Raises BadInput when the text is too short.
    """
    text = read_text(spec.source, "calibration")
    if text.windows is not None:
        return _ready(text, "calibration", spec.windows, context, vocabulary)
    length = window_length(spec.length, context, "calibration")
    rng = np.random.default_rng(spec.seed)
    drawn = _from_one(text, spec.windows, length, encode, rng) if len(text.documents) == 1 else (
        _from_many(text, spec.windows, length, encode, rng))
    _check_ids(drawn, vocabulary, "calibration", text)
    return Windows(tokens=torch.from_numpy(drawn), description=f"{text.description}, {spec.windows} window{'s' * (spec.windows > 1)} of "
                   f"{length} tokens, seed {spec.seed}", sha256=text.sha256)


def evaluation_windows(spec: Evaluation, encode: Encode, context: int, vocabulary: int) -> Windows:
    """The documents joined with a blank line, tokenised once, cut into windows without overlap; the tail is dropped."""
    text = read_text(spec.source, "evaluation")
    if text.windows is not None:
        return _ready(text, "evaluation", spec.windows, context, vocabulary)
    length = window_length(spec.length, context, "evaluation")
    tokens = encode("\n\n".join(text.documents))
    asked = spec.windows or (EMBEDDED_WINDOWS if spec.source == "embedded" else len(tokens))
    count = min(len(tokens) // length, asked)
    if count == 0:
        raise _too_short("evaluation", text, len(tokens), length)
    cut = np.asarray(tokens[: count * length], dtype=np.int64).reshape(count, length)
    _check_ids(cut, vocabulary, "evaluation", text)
    return Windows(tokens=torch.from_numpy(cut), description=text.description, sha256=text.sha256)


def _check_ids(tokens: np.ndarray, vocabulary: int, split: Split, text: Text) -> None:
    """Raise BadInput for a tokenizer that is not the model's: its ids go beyond the rows of the embedding."""
    if tokens.max() >= vocabulary:
        raise BadInput("model", f"token {tokens.max()} of the {split} text {text.description}", f"0 to {vocabulary - 1}, the rows of its "
                       "embedding", "The folder's tokenizer is not this model's, or the embedding was not resized with it.")


def _from_one(text: Text, count: int, length: int, encode: Encode, rng: np.random.Generator) -> np.ndarray:
    tokens = np.asarray(encode(text.documents[0]), dtype=np.int64)
    there = len(tokens) // length
    if there == 0:
        raise _too_short("calibration", text, len(tokens), length)
    if there < count:
        raise BadInput("windows", count, f"1 to {there}: {text.description} has {len(tokens):,} tokens, windows of {length}",
                       "Use fewer or shorter windows, or a longer text.")
    return tokens[: there * length].reshape(there, length)[rng.permutation(there)[:count]]


def _from_many(text: Text, count: int, length: int, encode: Encode, rng: np.random.Generator) -> np.ndarray:
    drawn: list[np.ndarray] = []
    longest = 0
    while len(drawn) < count:
        before = len(drawn)
        for index in rng.permutation(len(text.documents)):
            tokens = encode(text.documents[int(index)])
            longest = max(longest, len(tokens))
            if len(tokens) > length:
                start = int(rng.integers(0, len(tokens) - length))
                drawn.append(np.asarray(tokens[start : start + length], dtype=np.int64))
            if len(drawn) == count:
                break
        if len(drawn) == before:
            raise _too_short("calibration", text, longest, length)
    return np.stack(drawn)


def _ready(text: Text, split: Split, count: int | None, context: int, vocabulary: int) -> Windows:
    """Windows from a .npy file: int [n, length]; at most `count` from the start."""
    assert text.windows is not None
    try:
        array = open_memmap(text.windows, mode="r")  # reads no more than is asked for, and no archive or pickle
    except Exception as error:  # its header is read as Python's literals are, and fails in as many ways
        raise BadInput(split, str(text.windows), "a .npy file of integers [n, length]",
                       f"It cannot be read: {str(error)[:200]}.") from error
    if array.ndim != 2 or array.dtype.kind not in "iu" or not array.size:
        raise BadInput(split, f"{array.shape} {array.dtype}", "integers [n, length]", "Save token windows with numpy.save.")
    if not 2 <= array.shape[1] <= context:
        raise BadInput(f"{split}_length", array.shape[1], f"2 to {context}, the context of this model", "Cut the windows shorter.")
    if split == "calibration" and count is not None and len(array) < count:
        raise BadInput("windows", count, f"1 to {len(array)}, the windows of {text.windows.name}", "Ask for fewer.")
    array = array[:count]
    if array.size > MAX_TOKENS:
        raise BadInput(f"{split}_windows", len(array), f"windows of {MAX_TOKENS:,} tokens in all", "Ask for fewer.")
    if array.min() < 0 or array.max() >= vocabulary:
        raise BadInput(split, f"tokens {array.min()} to {array.max()}", f"0 to {vocabulary - 1}, this model's vocabulary",
                       "Make the windows with this model's tokenizer.")
    return Windows(tokens=torch.from_numpy(array.astype(np.int64)), description=text.description, sha256=text.sha256)


def _too_short(split: Split, text: Text, tokens: int, length: int) -> BadInput:
    return BadInput(split, f"{text.description}: {tokens} tokens", f"more than one window of {length} tokens",
                    "Use a longer text or shorter windows.")
