"""Registry of the methods. No torch.

    register_method(Toy)   from then on `toy` is in forms, links, flags, sweeps, tables, and a valid `RunSpec.method`

Methods of other packages: core/spec/external.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Annotated, TypeVar, cast

from pydantic import BeforeValidator, SerializeAsAny

from core.spec.errors import BadInput
from core.spec.methods.base import Blocked, Compensating, Damped, Granular, MethodParameters

M = TypeVar("M", bound=type[MethodParameters])

METHODS: dict[str, type[MethodParameters]] = {}  # that solve layers: by name, in the order of lists and legends
SCORES: dict[str, type[MethodParameters]] = {}  # that only choose whole structures
EVERY_METHOD: Mapping[str, type[MethodParameters]] = ChainMap(SCORES, METHODS)  # in the order METHODS, SCORES
METHOD_LABELS: dict[str, str] = {}
_TRAITS = ((Blocked, "block_size"), (Damped, "damping"), (Compensating, "raise_damping"), (Granular, "granularity"))


def register_method(method: M) -> M:
    """Add a method, as a class decorator too. Raises BadInput for one whose declarations do not fit.

    A class of the same module and name replaces the one that is there, so that a module may be loaded again.
    """
    name = _checked(method)
    known = EVERY_METHOD.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (method.__module__, method.__qualname__):
        raise BadInput("name", name, "a name that no method has yet", f"{known.__qualname__} has this one: choose another.")
    own = METHODS if method.solves_layers else SCORES
    found = sorted({**own, name: method}.items(), key=lambda item: item[1].order)
    own.clear()
    own.update(found)
    METHOD_LABELS.clear()
    METHOD_LABELS.update({other: kind.label for other, kind in EVERY_METHOD.items()})
    return method


def unregister_method(name: str) -> None:
    """Remove a method; one that is not there is no error."""
    METHODS.pop(name, None)
    SCORES.pop(name, None)
    METHOD_LABELS.pop(name, None)


def _checked(method: type[MethodParameters]) -> str:
    """The name of a method. Raises BadInput where a declaration is missing, or a trait or a form would not find its field."""
    field = method.model_fields.get("name")
    name = field.default if field else None
    if not isinstance(name, str) or not name or not name.replace("-", "").isalnum():
        raise BadInput("name", name, "a field `name` with a default of letters, digits and hyphens", 'Write name: str = named("…").')
    if not method.label:
        raise BadInput("label", method.label, "the method's name for people", "Write label = \"…\".")
    for trait, needed in _TRAITS:
        if issubclass(method, trait) != (needed in method.model_fields):
            raise BadInput(needed, method.__qualname__, f"a field `{needed}` exactly in a class derived from {trait.__name__}",
                           "Add the field, or derive the class.")
    for word, parameter in method.parameters().items():
        if parameter.is_required() or not parameter.title or not parameter.description:
            raise BadInput(word, method.__qualname__, "a field with a default, a title and a description",
                           "Forms and the command line show them: write Field(default=…, title=…, description=…).")
    return name


def _method(value: object) -> MethodParameters:
    if isinstance(value, MethodParameters):
        if EVERY_METHOD.get(value.name) is not type(value):
            raise BadInput("method", value.name, ", ".join(EVERY_METHOD), "Register its class: core.spec.register_method.")
        return value
    if not isinstance(value, Mapping):
        raise BadInput("method", value, "a method's parameters: its name and what differs from the defaults", "Change it and try again.")
    given = cast("Mapping[str, object]", value)
    name = given.get("name")
    if not isinstance(name, str) or name not in EVERY_METHOD:
        raise BadInput("method", name, ", ".join(EVERY_METHOD), "Choose one of these.")
    return EVERY_METHOD[name].model_validate(given)


Method = Annotated[SerializeAsAny[MethodParameters], BeforeValidator(_method)]


def make_method(name: str, **parameters: object) -> MethodParameters:
    """The parameters of a method by its name. Raises BadInput for an unknown name, ValidationError for bad parameters."""
    if name not in EVERY_METHOD:
        raise BadInput("method", name, ", ".join(EVERY_METHOD), "Choose one of these.")
    unknown = set(parameters) - set(EVERY_METHOD[name].parameters())
    if unknown:
        known = ", ".join(EVERY_METHOD[name].parameters())
        raise BadInput(sorted(unknown)[0], parameters[sorted(unknown)[0]], f"for {name}: {known or 'no parameters'}",
                       "Leave it out, or choose a method that has it.")
    return EVERY_METHOD[name].model_validate(parameters)


def adapted_method(name: str, **parameters: object) -> MethodParameters:
    """As `make_method`, with those of the parameters that the method has."""
    known = EVERY_METHOD[name].parameters() if name in EVERY_METHOD else {}
    return make_method(name, **{word: value for word, value in parameters.items() if word in known})
