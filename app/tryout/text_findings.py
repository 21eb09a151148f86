"""Texts side by side in sentences and as HTML. Pure functions of records."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from html import escape

from app.shared import numbers
from app.shared.findings.wording import listed
from core.records.continuations import Continuation, Place, Written


def finding(found: Continuation, names: Sequence[str]) -> str:
    """Place where each pruned model parts from the dense one's text, and the distance of their distributions."""
    told = [_one(found, name, text, place) for place, (name, text) in enumerate(zip(names, found.pruned, strict=True))]
    return " ".join(told)


def _one(found: Continuation, name: str, text: Written, place: int) -> str:
    same = common(found.dense.tokens, text.tokens)
    shorter = min(len(found.dense.tokens), len(text.tokens))
    if same == len(found.dense.tokens) == len(text.tokens):
        parts = f"{name} writes the same {numbers.plural(same, 'token')} as the dense model"
    elif same == shorter:
        parts = f"{name} writes the same, as far as both go"
    else:
        parts = f"{name} parts from the dense model at token {same + 1}"
    if not found.places:
        return f"{parts}."
    divergences = [one.divergences[place] for one in found.places]
    worst = max(range(len(divergences)), key=divergences.__getitem__)
    return (f"{parts}; KL is {numbers.error(sum(divergences) / len(divergences))} nats in the mean, most at token {worst + 1} "
            f"({numbers.error(divergences[worst])}).")


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """Tokens that two texts share from the beginning on."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def differing(dense: Sequence[str], other: Sequence[str]) -> frozenset[int]:
    """Places of `other` whose tokens are not in the dense model's text, both read in order, from where they part."""
    same = common(dense, other)
    blocks = SequenceMatcher(None, dense[same:], other[same:], autojunk=False).get_matching_blocks()
    kept = {same + place for block in blocks for place in range(block.b, block.b + block.size)}
    return frozenset(range(same, len(other))) - kept


def columns(found: Continuation, names: Sequence[str], cursor: int) -> str:
    """HTML: the dense model's text, then each pruned one's, with what differs marked. `cursor`: the dense token that is looked at."""
    prompt = escape("".join(found.prompt))
    dense = _column("dense", prompt, found.dense, frozenset(), cursor)
    others = (_column(name, prompt, text, differing(found.dense.tokens, text.tokens), -1)
              for name, text in zip(names, found.pruned, strict=True))
    return f"<div class='ps-texts'>{dense}{''.join(others)}</div>"


def _column(name: str, prompt: str, text: Written, marked: frozenset[int], cursor: int) -> str:
    parts = [_token(token, marked=place in marked, at=place == cursor, empty=_empty(text.tokens, place))
             for place, token in enumerate(text.tokens)]
    end = "<span class='ps-quiet'> (end of text)</span>" if text.ended else ""
    return (f"<section><h4>{escape(name)}</h4><p><span class='ps-prompt'>{prompt}</span>{''.join(parts)}{end}</p></section>")


def _empty(tokens: Sequence[str], place: int) -> bool:
    """True for a line break behind an empty line: a text of nothing else would be a page of white."""
    return not tokens[place].strip() and "\n" in tokens[place] and "".join(tokens[max(0, place - 2):place]).endswith("\n\n")


def _token(token: str, *, marked: bool, at: bool, empty: bool) -> str:
    text = escape(shown(token) if empty else token)
    if at:
        return f"<span class='ps-cursor'>{text or '·'}</span>"
    return f"<mark class='ps-differs'>{text}</mark>" if marked and text.strip() else text


def shown(token: str) -> str:
    """A token in a chart: what cannot be seen has a sign."""
    return token.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣") or "(nothing)"


def place_words(place: Place, names: Sequence[str], number: int) -> str:
    """The place that is looked at: its token, its chance in each model, its divergence."""
    chance = next((one.chances for one in place.candidates if one.token == place.token), None)
    told = "" if chance is None else (f", which the dense model gives {numbers.percent(chance[0])}, "
                                      + listed([f"{name} {numbers.percent(other)}" for name, other in zip(names, chance[1:], strict=True)]))
    kl = listed([f"{numbers.error(value)} ({name})" for name, value in zip(names, place.divergences, strict=True)])
    return f"Token {number} is “{shown(place.token)}”{told}. KL: {kl} nats."


def rows(found: Continuation, names: Sequence[str]) -> list[dict[str, object]]:
    """One row a token of the dense model's text, for a file to take away."""
    return [{"token": number, "dense": place.token,
             **{f"KL {name}": value for name, value in zip(names, place.divergences, strict=True)},
             **{name: text.tokens[number - 1] if number <= len(text.tokens) else None
                for name, text in zip(names, found.pruned, strict=True)}} for number, place in enumerate(found.places, 1)]
