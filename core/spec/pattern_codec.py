"""Codec of a pattern: the words `pattern`, `alpha` and `alpha_budget` together. No torch."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from core.spec.base import FrozenModel
from core.spec.codec import ModelCodec
from core.spec.errors import BadInput, input_errors
from core.spec.fields import Field
from core.spec.pattern_base import AlphaBudget, OutlierRows
from core.spec.patterns import KINDS, AnyPattern, Unstructured, parse_pattern
from core.spec.words import Refused, Words, among, text

PATTERN_WORDS = ("pattern", "alpha", "alpha_budget")
_USUAL = Unstructured()


class _Alpha(FrozenModel):
    outlier_rows: OutlierRows = 0.0
    alpha_budget: AlphaBudget = "paper"


_ALPHA = ModelCodec(model=_Alpha, fields={"alpha": "outlier_rows", "alpha_budget": "alpha_budget"})


class PatternCodec:
    """`pattern=0.5`, `2:4` or `columns:0.3`, with α and its budget."""

    words = PATTERN_WORDS

    def read(self, words: Words) -> tuple[AnyPattern, list[Refused]]:
        """The nearest pattern; α goes back to 0, and its budget to 'paper', where they do not fit."""
        word, refused = str(words.get("pattern", _USUAL.word)), list[Refused]()
        pattern = _made(word, 0.0, "paper")
        if isinstance(pattern, BadInput):
            refused.append(Refused(word="pattern", used=_USUAL.word, reason=BadInput("pattern", word, pattern.allowed, pattern.remedy)))
            word, pattern = _USUAL.word, _USUAL
        rows, more = _ALPHA.read(among(words, _ALPHA.words))
        refused += more
        alpha, budget = rows.outlier_rows, rows.alpha_budget
        if budget != "paper" and not pattern.has_budget:
            reason = BadInput("alpha_budget", budget, "paper: whole columns always keep p", "Leave it out.")
            refused.append(Refused(word="alpha_budget", reason=reason))
            budget = "paper"
        for share, rule in ((alpha, budget), (alpha, "paper")):
            made = _made(word, share, rule)
            if not isinstance(made, BadInput):
                return made, refused
            if rule == "paper":
                refused.append(Refused(word="alpha", used="0", reason=BadInput("alpha", alpha, made.allowed, made.remedy)))
                break
            reason = BadInput("alpha_budget", f"iso with α = {share:g}", made.allowed, made.remedy)
            refused.append(Refused(word="alpha_budget", used="paper", reason=reason))
        return pattern, refused

    def write(self, value: AnyPattern, usual: AnyPattern, *, whole: bool = False) -> dict[str, str]:
        """The differences from half of any weights, or the `whole`."""
        found: dict[str, str] = {}
        if whole or value.word != _USUAL.word:
            found["pattern"] = value.word
        if whole or value.outlier_rows:
            found["alpha"] = text(value.outlier_rows)
        if value.budget is not None and (whole or value.budget != "paper"):
            found["alpha_budget"] = value.budget
        return found

    def describe(self, word: str) -> Field:
        """The field behind one of the three words."""
        if word == "pattern":
            return Field(word=word, kind="text", title="Pattern", help=", ".join(kind.example for kind in KINDS.values()),
                         default=_USUAL.word)
        return replace(_ALPHA.describe(word), word=word)


def _made(word: str, alpha: float, budget: str) -> AnyPattern | BadInput:
    try:
        return parse_pattern(word, alpha=alpha, alpha_budget=budget)
    except BadInput as error:
        return error
    except ValidationError as error:
        return input_errors(error)[0]
