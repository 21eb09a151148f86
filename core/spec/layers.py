"""Choice of layers by patterns of their names: which are skipped, which have a sparsity of their own. No torch.

A pattern is matched (fnmatch, case counts) against a layer's whole name, model.layers.0.self_attn.v_proj, and against the name behind the
list of blocks, 0.self_attn.v_proj.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from pydantic import ValidationError

from core.spec.errors import BadInput
from core.spec.patterns import Pattern

_ALLOWED = "patterns of layer names, such as *.v_proj or 0.*, with commas or spaces between them"
_OWN = "PATTERN=SPARSITY, such as *.down_proj=0.3, several with commas between them"
_LONGEST = 2000


class Named(Protocol):
    """A layer, as far as its name goes."""

    @property
    def name(self) -> str: ...
    @property
    def module(self) -> str: ...
    @property
    def block(self) -> int: ...


def patterns_of(text: str) -> tuple[str, ...]:
    """The patterns of a text, in their order."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def check_patterns(text: str) -> str:
    """The patterns with commas between them. Raises BadInput for a text that is too long, or for an unprintable one."""
    if len(text) > _LONGEST or any(not letter.isprintable() for letter in text):
        raise BadInput("skip", text, _ALLOWED, f"At most {_LONGEST} letters.")
    return ",".join(patterns_of(text))


def shares_of(text: str) -> tuple[tuple[str, float], ...]:
    """Pattern and sparsity, in their order. Raises BadInput."""
    found: list[tuple[str, float]] = []
    for part in patterns_of(text):
        pattern, sign, word = part.rpartition("=")
        try:
            share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not sign or not pattern or not 0 <= share < 1:
            raise BadInput("layer_sparsity", part, _OWN, "The sparsity is at least 0 and below 1.")
        found.append((pattern, share))
    return tuple(found)


def check_shares(text: str, pattern: Pattern, allocation: str) -> str:
    """The pairs with commas between them. Raises BadInput for what is no such pair, and where layers cannot have their own share."""
    if len(text) > _LONGEST or any(not letter.isprintable() for letter in text):
        raise BadInput("layer_sparsity", text, _OWN, f"At most {_LONGEST} letters.")
    shares = shares_of(text)
    if shares and not pattern.may_differ:
        raise BadInput("layer_sparsity", text, f"nothing for {pattern.word}", f"{pattern.alike} Or skip the layers.")
    if shares and allocation != "even":
        raise BadInput("layer_sparsity", text, "nothing where the run shares out the zeros itself (allocation)",
                       "Choose the even allocation, or leave this out.")
    return ",".join(f"{name}={share:g}" for name, share in shares)


def is_match(pattern: str, layer: Named) -> bool:
    """True if a pattern names a layer."""
    return fnmatchcase(layer.name, pattern) or fnmatchcase(f"{layer.block}.{layer.module}", pattern)


def is_skipped(skip: str, layer: Named) -> bool:
    """True if a run leaves the layer out."""
    return any(is_match(pattern, layer) for pattern in patterns_of(skip))


def own_pattern(pattern: Pattern, layer_sparsity: str, layer: Named) -> Pattern:
    """The layer's own pattern: of several that name it the last counts. Raises BadInput for a share that does not go with α."""
    share = next((share for name, share in reversed(shares_of(layer_sparsity)) if is_match(name, layer)), None)
    if share is None:
        return pattern
    try:
        return type(pattern).model_validate({**dict(pattern), "sparsity": share})
    except ValidationError as error:
        raise BadInput("layer_sparsity", f"{layer.name}={share:g}", f"a sparsity that goes with {pattern.word} and its outlier rows",
                       "Lower α or the sparsity.") from error


def require_matches(field: str, patterns: Iterable[str], layers: Sequence[Named]) -> None:
    """Raise BadInput naming the first pattern that no layer has, and the layers that there are."""
    for pattern in patterns:
        if not any(is_match(pattern, layer) for layer in layers):
            first = min((layer.block for layer in layers), default=0)
            modules = list(dict.fromkeys(layer.module for layer in layers))
            more = f", … ({len(modules)} in all)" if len(modules) > 12 else ""
            raise BadInput(field, pattern, f"patterns that match a layer. There are {len(layers)}: {layers[0].name} and others, in blocks "
                           f"{first} to {max(layer.block for layer in layers)} as {', '.join(modules[:12])}{more}",
                           "Write * for any letters: *.v_proj is that layer of every block, 0.* the whole first block.")
