"""Grid of a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from core.cli.options import notes, spec_of
from core.records import Revisions, RunResult
from core.spec import EVERY_METHOD, METHOD_LABELS, RunSpec, parse_pattern
from core.spec.errors import BadInput, PruneError
from core.spec.flags import method_words


def grid(words: dict[str, str], **lists: str) -> list[RunSpec]:
    """Every combination, methods outermost, no run twice. A combination without a meaning is left out, and said.

    A flag applies to the methods and patterns that have it. It is said to be left out for the others. Raises PruneError for one that no
    method or pattern of the grid has, and for a value that is in no combination with a meaning.
    """
    values = {name: _values(name, lists[name]) for name in ("methods", "patterns", "block_sizes", "alphas", "seeds")}
    given = dict(words) if values["block_sizes"] == ["auto"] else {**words, "block_size": lists["block_sizes"]}
    _check_flags(given, values["methods"], values["patterns"])
    found, used, refused = list[RunSpec](), set[tuple[int, str]](), dict[tuple[str, ...], str]()
    for combination in itertools.product(*values.values()):
        method, pattern, block, alpha, seed = combination
        both = {**words, "method": method, "pattern": pattern, "alpha": alpha, "seed": seed}
        if block != "auto":
            both["block_size"] = block
        lacking = {*_lacked_by_method(both, method), *_lacked_by_pattern(both, pattern)}
        try:
            spec = spec_of({word: text for word, text in both.items() if word not in lacking})
        except PruneError as error:
            refused[combination] = str(error)
            continue
        used.update(enumerate(combination))
        if spec not in found:
            found.append(spec)
    useless = [reason for combination, reason in refused.items() if not used.issuperset(enumerate(combination))]
    if useless:
        raise PruneError("\n       ".join(dict.fromkeys(useless)))
    for reason in dict.fromkeys(refused.values()):
        _say(reason)
    return found


def _values(name: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise BadInput(name, text, "one value or several, with commas", "Leave it out for the usual one.")
    return parts


def _check_flags(words: dict[str, str], methods: list[str], patterns: list[str]) -> None:
    """Say which flags do not apply to some methods or patterns. Raises BadInput for one that applies to none."""
    for kinds, lacked in ((methods, _lacked_by_method), (patterns, _lacked_by_pattern)):
        known = [kind for kind in kinds if lacked is _lacked_by_pattern or kind in EVERY_METHOD]
        lacking = {word: [kind for kind in known if word in lacked(words, kind)] for word in words}
        for word, without in lacking.items():
            if not without:
                continue
            if len(without) == len(known):
                owners = [name for name, method in EVERY_METHOD.items() if word in method.parameters()]
                raise BadInput(word, words[word], f"with {', '.join(owners)}" if owners else "with patterns that have it",
                               f"{_listed(without)} {'has' if len(without) == 1 else 'have'} none: leave it out.")
            _say(f"--{word.replace('_', '-')} for {_listed(without)}, which {'has' if len(without) == 1 else 'have'} none.")


def _lacked_by_method(words: Collection[str], method: str) -> list[str]:
    """The words that are a parameter of other methods only. An unknown method lacks none: it is refused for itself."""
    known = EVERY_METHOD[method].parameters() if method in EVERY_METHOD else method_words()
    return [word for word in method_words() if word in words and word not in known]


def _lacked_by_pattern(words: Collection[str], pattern: str) -> list[str]:
    """`alpha_budget`, where a pattern has no choice of one."""
    try:
        has_budget = parse_pattern(pattern).has_budget
    except ValueError:
        return []
    return ["alpha_budget"] if "alpha_budget" in words and not has_budget else []


def _listed(names: list[str]) -> str:
    return ", ".join(METHOD_LABELS.get(name, name) for name in names)


def _say(reason: str) -> None:
    notes.print(f"Left out: {reason}", markup=False, highlight=False, soft_wrap=True)


def same_dense(result: RunResult, spec: RunSpec, now: Revisions) -> bool:
    """True if a result's dense perplexities are those that this spec would measure."""
    one, other = ((asked.evaluation, asked.further_evaluations, asked.device, asked.dtype) for asked in (result.spec, spec))
    inputs, today = ((found.model, found.evaluation, found.further_evaluations) for found in (result.revisions, now))
    return (one, inputs) == (other, today)
