"""Words of the texts side by side in the link of the Try it out page: prompt, further pruned models, sampling, length."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field, field_validator

from app.shared import link
from core.spec import METHODS, RunSpec
from core.spec.base import FrozenModel
from core.spec.codec import ModelCodec
from core.spec.errors import BadInput
from core.spec.flags import method_words

PROMPTS = ("Return a new list", "This function returns True if", "The file is opened", "Raise ValueError if the",
           "A string is a sequence of")  # of the demo's own kind of text: pruned models part from the dense one within some words
MOST_BESIDE = 2  # pruned models beside that of the controls
LENGTHS = (24, 48, 96, 192)


class TextAsked(FrozenModel):
    """Request of the page's link."""

    prompt: str = Field(default=PROMPTS[0], min_length=1, max_length=20_000)
    beside: tuple[str, ...] = ()
    temperature: float = Field(default=0.0, ge=0, le=2)
    text_seed: int = Field(default=0, ge=0, le=9999)
    tokens: int = Field(default=48, ge=1, le=512)

    @field_validator("beside")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in METHODS]
        if unknown or len(set(names)) < len(names) or len(names) > MOST_BESIDE:
            raise BadInput("beside", ",".join(names), f"up to {MOST_BESIDE} of {', '.join(METHODS)}, each once", "Choose them on the page.")
        return names


CODEC = ModelCodec(model=TextAsked, fields={name: name for name in TextAsked.model_fields})


def read(word: Callable[[str], str], refuse: Callable[[str, str], None]) -> TextAsked:
    """Read the link's words. A word that cannot be used is refused, with the reason, and its usual value taken."""
    asked, refused = CODEC.read({name: text for name in CODEC.words if (text := word(name))})
    for item in refused:
        refuse(item.word, str(item))
    return asked


def specs_of(spec: RunSpec, asked: TextAsked) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
    """The pruned models: that of the controls, then those of the further methods with their defaults and the same pattern; and why
    some cannot be."""
    mine = {word: text for word, text in link.to_words(spec).items() if word not in method_words()}
    found, refused = [spec], list[str]()
    for name in asked.beside:
        other, complaints = link.check_words({**mine, "method": name})
        refused += complaints
        if other is not None and other not in found:
            found.append(other)
    return tuple(found), tuple(refused)
