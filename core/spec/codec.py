"""Codec between text words and pydantic models: one for links, the command line and forms. No torch.

    ModelCodec    a model from the words of its fields, and from the codecs of the models it holds
    ChoiceCodec   one of several models, which a word chooses: a method, a view

`read` returns the nearest value that can be made and what it refused; it never raises for what a stranger wrote. `check` replaces nothing.
`write` leaves out what is as usual, so that the default value has no words. A word that no method or page has is refused with the nearest
known one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar, get_origin

from pydantic import ValidationError

from core.spec.base import FrozenModel
from core.spec.errors import BadInput, input_errors
from core.spec.fields import Field, describe_field
from core.spec.words import Refused, Words, among, strangers, text

T = TypeVar("T")
M = TypeVar("M", bound=FrozenModel)


class Codec(Protocol[T]):
    """Interface of a part of a `ModelCodec`. The first of its `words` is the one that is given up first."""

    @property
    def words(self) -> tuple[str, ...]: ...

    def read(self, words: Words) -> tuple[T, list[Refused]]: ...

    def write(self, value: T, usual: T, *, whole: bool = False) -> dict[str, str]: ...

    def describe(self, word: str) -> Field: ...


@dataclass(frozen=True, kw_only=True)
class ModelCodec(Generic[M]):
    """`fields` are the model's own, by word; `parts` the codecs of fields that are models themselves. All have defaults."""

    model: type[M]
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    parts: Mapping[str, Codec[Any]] = field(default_factory=dict[str, Codec[Any]])

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in the order in which they are written."""
        return (*self.fields, *(word for part in self.parts.values() for word in part.words))

    def usual(self, value: M) -> M:
        """The model that `value` is compared with: the words are the differences."""
        return self.model()

    def describe(self, word: str) -> Field:
        """The field behind a word. Raises StopIteration for an unknown one."""
        if word in self.fields:
            return describe_field(self.model, self.fields[word], word)
        return next(part for part in self.parts.values() if word in part.words).describe(word)

    def check(self, words: Words) -> tuple[M | None, tuple[Refused, ...]]:
        """The value that a form asks for, or None and what must be changed. Nothing is replaced."""
        found, refused = self.read(words)
        return (None if refused else found), tuple(refused)

    def read(self, words: Words) -> tuple[M, list[Refused]]:
        """The nearest value that can be made, and what of the words it leaves out."""
        refused: list[Refused] = []
        built: dict[str, object] = {}
        for name, part in self.parts.items():
            built[name], more = part.read(among(words, part.words))
            refused += more
        values = {word: self._decoded(name, words[word]) for word, name in self.fields.items() if word in words}
        found, more = self._fit(words, values, built)
        taken = {item.word for item in refused}
        known = self.words
        return found, [*refused, *(item for item in more if item.word not in taken), *strangers(words, known)]

    def write(self, value: M, usual: M | None = None, *, whole: bool = False) -> dict[str, str]:
        """The words of the differences from the usual, or the `whole`, in the order of `words`."""
        usual = self.usual(value) if usual is None else usual
        mine = {word: getattr(value, name) for word, name in self.fields.items()}
        found = {word: text(one) for word, one in mine.items()
                 if one is not None and (whole or one != getattr(usual, self.fields[word]))}
        for name, part in self.parts.items():
            found |= part.write(getattr(value, name), getattr(usual, name), whole=whole)
        return {word: found[word] for word in self.words if word in found}

    def _decoded(self, name: str, value: object) -> object:
        several = get_origin(self.model.model_fields[name].annotation) is tuple
        return tuple(part.strip() for part in value.split(",") if part.strip()) if several and isinstance(value, str) else value

    def _default(self, name: str) -> object:
        return self.model.model_fields[name].get_default(call_default_factory=True)

    def _fit(self, words: Words, values: dict[str, object], built: dict[str, object]) -> tuple[M, list[Refused]]:
        """The model; a field that is refused goes back to its default, a part gives its words up, until it can be made."""
        refused: list[Refused] = []
        left = {name: [word for word in part.words if word in words] for name, part in self.parts.items()}
        while True:
            try:
                return self.model.model_validate({**{self.fields[word]: value for word, value in values.items()}, **built}), refused
            except ValidationError as error:
                if not self._give_up(error, words, values, built, left, refused):
                    raise

    def _give_up(self, error: ValidationError, words: Words, values: dict[str, object], built: dict[str, object],
                 left: dict[str, list[str]], refused: list[Refused]) -> bool:
        """Take back what an error names, or else whatever a word still says. False: nothing is left to take back."""
        blamed = [(str(item["loc"][0]) if item["loc"] else reason.field, reason)  # fields that do not go together name one of them
                  for item, reason in zip(error.errors(), input_errors(error), strict=True)]
        named = {name: word for word, name in self.fields.items() if word in values}
        found = {name: reason for name, reason in blamed if name in named or left.get(name)}
        if not found:
            others = [*(name for name in left if left[name]), *named]
            found = {name: blamed[0][1] for name in others[:1]}
        several = [word for word, value in values.items() if isinstance(value, tuple)]
        for name, reason in found.items():
            if name in named:
                word = named[name]
                del values[word]
                used = text(self._default(name)) or None
            else:
                part, word = self.parts[name], left[name].pop(0)
                built[name] = part.read(among(words, left[name]))[0]
                used = part.write(built[name], built[name], whole=True).get(word)
            given = reason.value if isinstance(words[word], tuple) or word in several else words[word]  # the value of a list at fault
            refused.append(Refused(word=word, used=used, reason=BadInput(word, given, reason.allowed, reason.remedy)))
        return bool(found)


@dataclass(frozen=True, kw_only=True)
class ChoiceCodec(Generic[M]):
    """`word` names one of `kinds`, whose fields (all but `tag`) are words too. `kinds` may grow while the codec is in use."""

    word: str
    kinds: Mapping[str, type[M]]
    default: str
    title: Callable[[str], str] = str
    tag: str = "name"
    remedy: str = "Leave it out."
    help: str = ""

    def parameters(self, name: str) -> tuple[str, ...]:
        """The words of one kind."""
        return tuple(word for word in self.kinds[name].model_fields if word != self.tag)

    @property
    def words(self) -> tuple[str, ...]:
        """The choosing word, then those of all kinds."""
        return (self.word, *dict.fromkeys(word for name in self.kinds for word in self.parameters(name)))

    def codec(self, name: str) -> ModelCodec[M]:
        """The codec of one kind."""
        return ModelCodec(model=self.kinds[name], fields={word: word for word in self.parameters(name)})

    def describe(self, word: str) -> Field:
        """A parameter is described as in the first kind that has it, with all that have it."""
        if word == self.word:
            return Field(word=word, kind="choice", title=self.word.capitalize(), help=self.help or ", ".join(self.kinds),
                         default=self.default, choices=tuple(self.kinds))
        owners = [name for name in self.kinds if word in self.parameters(name)]
        found = self.codec(owners[0]).describe(word)
        return replace(found, help=f"{found.help} ({', '.join(owners)})", default=None)  # defaults may differ

    def read(self, words: Words) -> tuple[M, list[Refused]]:
        """The chosen model from its words; a word of another kind is refused."""
        refused: list[Refused] = []
        name = str(words.get(self.word, self.default))
        if name not in self.kinds:
            reason = BadInput(self.word, words[self.word], ", ".join(self.kinds), "Choose one of these.")
            name = self.default
            refused.append(Refused(word=self.word, reason=reason, used=name))
        mine = self.parameters(name)
        allowed = f"for {self.title(name)} {', '.join(mine) or 'no parameter'}"
        refused += [Refused(word=word, reason=BadInput(word, words[word], allowed, self.remedy))
                    for word in self.words if word in words and word not in (self.word, *mine)]
        found, more = self.codec(name).read(among(words, mine))
        return found, refused + more

    def write(self, value: M, usual: M, *, whole: bool = False) -> dict[str, str]:
        """The choice where it is not the default one, and what differs from `usual`, or from the kind's own defaults."""
        name = next(name for name, kind in self.kinds.items() if kind is type(value))
        chosen = {self.word: name} if whole or name != self.default else {}
        return chosen | self.codec(name).write(value, usual if type(usual) is type(value) else None, whole=whole)
