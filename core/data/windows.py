"""Text to token windows: int64 [n, length], for calibration (drawn by a seed) and evaluation (in order, tail dropped)."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from core.data.drawing import from_many, from_one, packed, too_short
from core.data.forms import LONG, form_of, refuse_other_kinds
from core.data.reading import Reader, first_tokens
from core.data.texts import Split, Text, read_text
from core.spec import Calibration, Evaluation
from core.spec.errors import BadInput

EMBEDDED_WINDOWS = 64  # of the embedded text by default: a first visit should not wait
MAX_TOKENS = 1 << 27  # of ready windows: 1 GiB as int64
MAX_LENGTH = 2048  # the literature's window: min(2048, context)
_BOS_WORDS = {"auto": "", "every-window": ", a BOS token first in each window", "none": ", no BOS token"}


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


def calibration_windows(spec: Calibration, reader: Reader) -> Windows:
    """`spec.windows` windows drawn by `spec.seed`.

    From one text: different ones of its consecutive windows. From many documents: documents in random order, one window
    at a random place of each that is longer than a window, and again from the start when they run out, as in the literature.
    Where no document is longer than a window: documents in random order, one after the other with the separator token between.
    Of documents of over 4 Mi characters only the places that are drawn are tokenized.
    Raises BadInput when the text is too short, or for a BOS token that the tokenizer does not have.
    """
    text = read_text(spec.source, "calibration")
    if text.windows is not None:
        _refuse_bos(spec, "calibration")
        return _ready(text, "calibration", spec.windows, reader)
    length = window_length(spec.length, reader.context, "calibration")
    begin = _beginning(spec, reader, "calibration")
    rng, inner, how = np.random.default_rng(spec.seed), length - len(begin), ""
    if text.long:
        how = f", drawn by characters where a document has over {LONG >> 20} Mi of them"
    if len(text.documents) == 1:
        drawn = from_one(text, spec, inner, reader, rng)
    else:
        drawn = from_many(text, spec, inner, reader, rng)
        if drawn is None:
            drawn, how = packed(text, spec, inner, reader, rng), f"{how}, documents packed with the separator token between them"
    _check_ids(drawn, reader.vocabulary, "calibration", text)
    return Windows(tokens=_begun(drawn, begin), description=f"{text.description}, {spec.windows} window{'s' * (spec.windows > 1)} of "
                   f"{length} tokens, seed {spec.seed}{_BOS_WORDS[spec.bos]}{how}", sha256=text.sha256)


def evaluation_windows(spec: Evaluation, reader: Reader) -> Windows:
    """The documents joined with a blank line, tokenized once, cut into windows without overlap; the tail is dropped. Raises BadInput as
    `calibration_windows` does."""
    text = read_text(spec.source, "evaluation")
    if text.windows is not None:
        _refuse_bos(spec, "evaluation")
        return _ready(text, "evaluation", spec.windows, reader)
    length = window_length(spec.length, reader.context, "evaluation")
    begin = _beginning(spec, reader, "evaluation")
    inner = length - len(begin)
    asked = spec.windows or (EMBEDDED_WINDOWS if spec.source == "embedded" else None)
    tokens = first_tokens(text.documents, asked and asked * inner, reader, special=spec.bos == "auto")
    count = len(tokens) // inner if asked is None else min(len(tokens) // inner, asked)
    if count == 0:
        raise too_short("evaluation", text, len(tokens), length)
    cut = np.asarray(tokens[: count * inner], dtype=np.int64).reshape(count, inner)
    _check_ids(cut, reader.vocabulary, "evaluation", text)
    return Windows(tokens=_begun(cut, begin), description=f"{text.description}{_BOS_WORDS[spec.bos]}", sha256=text.sha256)


def _beginning(spec: Calibration | Evaluation, reader: Reader, split: Split) -> list[int]:
    """The tokens that every window begins with: BOS or none."""
    if spec.bos != "every-window":
        return []
    if reader.bos is None:
        raise BadInput(_bos_word(split), spec.bos, "auto or none: this model's tokenizer has no BOS token", "Choose one of them.")
    return [reader.bos]


def _refuse_bos(spec: Calibration | Evaluation, split: Split) -> None:
    if spec.bos != "auto":
        raise BadInput(_bos_word(split), spec.bos, "auto for ready token windows, which are taken as they are",
                       "Leave it out, or give the text itself.")


def _bos_word(split: Split) -> str:
    return "bos" if split == "calibration" else "evaluation_bos"


def _begun(tokens: np.ndarray, begin: list[int]) -> Tensor:
    """int64 [n, L]: each row after the tokens that windows begin with."""
    if not begin:
        return torch.from_numpy(tokens)
    return torch.cat([torch.tensor(begin).expand(len(tokens), -1), torch.from_numpy(tokens)], 1)


def _check_ids(tokens: np.ndarray, vocabulary: int, split: Split, text: Text) -> None:
    """Raise BadInput for a tokenizer that is not the model's: its ids go beyond the rows of the embedding."""
    if tokens.max() >= vocabulary:
        raise BadInput("model", f"token {tokens.max()} of the {split} text {text.description}", f"0 to {vocabulary - 1}, the rows of its "
                       "embedding", "The folder's tokenizer is not this model's, or the embedding was not resized with it.")


def _ready(text: Text, split: Split, count: int | None, reader: Reader) -> Windows:
    """Windows from a .npy file: int [n, length]; at most `count` from the start."""
    assert text.windows is not None
    try:
        refuse_other_kinds(text.windows, form_of(text.windows))
        array = open_memmap(text.windows, mode="r")  # reads no more than is asked for, and no archive or pickle
    except Exception as error:  # its header is read as Python's literals are, and fails in as many ways
        raise BadInput(split, str(text.windows), "a .npy file of integers [n, length]",
                       f"It cannot be read: {str(error)[:200]}.") from error
    if array.ndim != 2 or array.dtype.kind not in "iu" or not array.size:
        raise BadInput(split, f"{array.shape} {array.dtype}", "integers [n, length]", "Save token windows with numpy.save.")
    if not 2 <= array.shape[1] <= reader.context:
        raise BadInput(f"{split}_length", array.shape[1], f"2 to {reader.context}, the context of this model", "Cut the windows shorter.")
    if split == "calibration" and count is not None and len(array) < count:
        raise BadInput("windows", count, f"1 to {len(array)}, the windows of {text.windows.name}", "Ask for fewer.")
    array = array[:count]
    if array.size > MAX_TOKENS:
        raise BadInput(f"{split}_windows", len(array), f"windows of {MAX_TOKENS:,} tokens in all", "Ask for fewer.")
    if array.min() < 0 or array.max() >= reader.vocabulary:
        raise BadInput(split, f"tokens {array.min()} to {array.max()}", f"0 to {reader.vocabulary - 1}, this model's vocabulary",
                       "Make the windows with this model's tokenizer.")
    return Windows(tokens=torch.from_numpy(array.astype(np.int64)), description=text.description, sha256=text.sha256)
