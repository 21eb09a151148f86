"""Text to token ids with a model's tokenizer, which is loaded when a text is read. Long texts are read once by a process."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from torch import nn

from core.data.files import Stamp, current, stamp
from core.models.folders import model_files
from core.models.memory_room import TOKENIZING, require_room
from core.models.sources import ModelSource
from core.models.tokenizing import load_tokenizer
from core.spec.errors import InputChanged

REMEMBERED = range(1 << 16, 1 << 24)  # characters of a text whose tokens a process keeps: each run and each session reads the same two


@dataclass(frozen=True)
class TextReader:
    """A model's tokenizer, context (tokens) and vocabulary (rows of its embedding)."""

    source: ModelSource
    context: int
    vocabulary: int

    def encode(self, text: str, *, special: bool = True) -> list[int] | np.ndarray:
        """Token ids of a text; `special`: with the tokens that the tokenizer adds to each text by itself. Raises BadInput for a
        tokenizer that does not load, InputChanged where its files change meanwhile."""
        if len(text) in REMEMBERED:
            # a frozen model has a hash, which type checkers do not see
            files = tuple(map(stamp, model_files(self.source)))
            return _token_ids(self.source, files, text, special)  # pyright: ignore[reportArgumentType]
        return _encoded(self._tokenizer, text, special)

    @property
    def bos(self) -> int | None:
        """Id of the token that begins a text; None where the tokenizer has none."""
        return self._tokenizer.bos_token_id

    @property
    def separator(self) -> int | None:
        """Id of the token between documents: the one that ends a text, else the one that begins it; None where there is neither."""
        ending = self._tokenizer.eos_token_id
        return self.bos if ending is None else ending

    @cached_property
    def _tokenizer(self) -> Any:
        return _loaded(self.source)


def text_reader(source: ModelSource, model: nn.Module) -> TextReader:
    """The reader of a loaded model, or of its skeleton."""
    rows: int = model.get_input_embeddings().weight.shape[0]  # pyright: ignore[reportCallIssue]
    return TextReader(source, source.context, rows)


@lru_cache(maxsize=4)
def _token_ids(source: ModelSource, files: tuple[Stamp, ...], text: str, special: bool) -> np.ndarray:
    """The token ids [n] of a long text. `files` stands for the tokenizer's: when they change, the text is read anew. Raises
    InputChanged, and remembers nothing, where they change meanwhile."""
    ids = np.asarray(_encoded(_loaded(source), text, special), dtype=np.int32)
    if any(current(item) != item for item in files):
        raise InputChanged("model", source.name)
    ids.flags.writeable = False
    return ids


def _encoded(tokenizer: Any, text: str, special: bool) -> list[int]:
    """Raises OutOfMemory for a text that has no room: an allocation that fails inside the tokenizer ends the process."""
    if len(text) >= REMEMBERED.start:
        require_room(TOKENIZING * len(text), f"tokenizing a text of {len(text):,} characters", "Use a shorter text, or more memory.")
    return tokenizer(text, verbose=False, add_special_tokens=special)["input_ids"]


def _loaded(source: ModelSource) -> Any:
    return load_tokenizer(source)
