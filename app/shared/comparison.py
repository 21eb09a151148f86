"""Runs side by side: what they are called, how they are drawn, and what was asked differently of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.shared import numbers
from app.shared.findings.wording import describe_pattern
from app.shared.style import Mark, run_marks
from core.records import LayerRecord, RunResult
from core.spec import METHOD_LABELS
from core.spec.base import FrozenModel

OWN = "Its own parameters"
_MACHINE = "Computed on"
_NAMED = ("Model", "Method", "Pattern", "Outlier rows α", "Exact refit")  # said in a label wherever runs differ in it
_USUAL = ("no", "automatic", "auto", "")
_UNSAID = ((OWN, "none"), ("Outlier rows α", "0"), ("Seed", "0"))
_VERSIONS = ("Method's version", "Core's version")
_CONTENTS = {"Model": "model", "Calibration text": "calibration", "Evaluation text": "evaluation"}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A run of a comparison: a label that no other run of it has, its mark, its settings by title."""

    label: str
    mark: Mark
    settings: Mapping[str, str]
    result: RunResult

    @property
    def layers(self) -> dict[str, LayerRecord]:
        """Its layers by name."""
        return {layer.name: layer for layer in self.result.layers}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A setting that is not the same in all runs; `values` in their order."""

    setting: str
    values: tuple[str, ...]


def compare(results: Sequence[RunResult], names: Sequence[str] = ()) -> tuple[Compared, ...]:
    """Labels, marks and settings for runs side by side. A run that a person has named is called so."""
    everything = [_settings(result) for result in results]
    settings = _aligned(everything)
    marks = run_marks([result.spec.method.name for result in results])
    return tuple(Compared(label=label, mark=mark, settings=found, result=result)
                 for label, mark, found, result in zip(_named(_labels(everything), names), marks, settings, results, strict=True))


def title(runs: Sequence[Compared]) -> str:
    """`2 runs of demo`."""
    return f"{len(runs)} runs of {' and '.join(dict.fromkeys(run.result.spec.model for run in runs))}"


def differences(runs: Sequence[Compared]) -> tuple[Difference, ...]:
    """Settings that differ, in the order of a form."""
    return tuple(Difference(setting=title, values=tuple(run.settings[title] for run in runs))
                 for title in (runs[0].settings if runs else ()) if len({run.settings[title] for run in runs}) > 1)


def what_differs(runs: Sequence[Compared]) -> str:
    """`only the method differs`, `method and seed differ`, `5 settings differ`, `nothing was asked differently`."""
    parameters = {run.settings["Method"]: {other.settings[OWN] for other in runs if other.settings["Method"] == run.settings["Method"]}
                  for run in runs}
    own = any(len(found) > 1 for found in parameters.values())  # else the method says it
    found = [difference.setting for difference in differences(runs) if own or difference.setting != OWN]
    names = [setting[0].lower() + setting[1:] for setting in found if setting != _MACHINE or len(found) == 1]
    if not names:
        return "nothing was asked differently"
    if len(names) == 1:
        return f"only the {names[0]} differs"
    return f"{', '.join(names[:-1])} and {names[-1]} differ" if len(names) < 4 else f"{len(names)} settings differ"


def equal_settings(runs: Sequence[Compared]) -> str:
    """Settings that all runs share, in a line; what is off or automatic is left out."""
    first = runs[0].settings
    same = [(title, text) for title, text in first.items() if all(run.settings[title] == text for run in runs)]
    return ", ".join(text if title in ("Model", "Method", "Pattern") else f"{title[0].lower()}{title[1:]} {text}"
                     for title, text in same if text not in _USUAL and (title, text) not in _UNSAID and title not in _VERSIONS)


def common_layers(runs: Sequence[Compared]) -> tuple[str, ...]:
    """The names of the layers that all runs have, with the same shape, in the first run's order."""
    others = [run.layers for run in runs[1:]]
    return tuple(layer.name for layer in (runs[0].result.layers if runs else ())
                 if all(layer.name in found and found[layer.name].shape == layer.shape for found in others))


def _settings(result: RunResult) -> dict[str, str]:
    """Everything that was asked, and what stood behind the names, by title. What only some methods have is here too."""
    spec, revisions = result.spec, result.revisions
    found = {"Model": spec.model, "Method": METHOD_LABELS[spec.method.name], "Pattern": describe_pattern(spec.pattern),
             "Outlier rows α": f"{numbers.setting(spec.pattern.outlier_rows)}",
             "α budget": spec.pattern.budget or "paper" if spec.pattern.outlier_rows else ""}
    found |= _fields(spec.method, skip={"name"})
    found |= _fields(spec, skip={"model", "method", "pattern", "calibration", "evaluation"})
    found |= _fields(spec.calibration, length="Calibration window length")
    found |= _fields(spec.evaluation, length="Evaluation window length")
    found |= {f"{title}, contents": getattr(revisions, name)[:12] for title, name in _CONTENTS.items()}
    return found | {"Method's version": str(revisions.method), "Core's version": str(revisions.core),
                    _MACHINE: result.environment.device}


def _fields(noun: FrozenModel, *, skip: Sequence[str] | set[str] = (), length: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in type(noun).model_fields.items():
        if name not in skip:
            extra = field.json_schema_extra
            symbol = str(extra.get("symbol", "")) if isinstance(extra, dict) else ""
            title = length if name == "length" and length else f"{field.title} {symbol}".strip()
            found[title] = _text(getattr(noun, name))
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "automatic" if value is None else f"{numbers.setting(value)}" if isinstance(value, float) else str(value)


def _aligned(found: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The same titles for all: what not every run's method has is gathered in one line of its own. Contents that differ only because
    the name does say nothing new."""
    shared = [title for title in (found[0] if found else ()) if all(title in other for other in found)]
    rows = [{title: settings[title] for title in shared} for settings in found]
    for settings, row in zip(found, rows, strict=True):
        own = [f"{title[0].lower()}{title[1:]} {text}" for title, text in settings.items() if title not in row and text != "no"]
        row[OWN] = ", ".join(own) or "none"
    for title in (*_CONTENTS, "Method"):
        follower = "Method's version" if title == "Method" else f"{title}, contents"
        named = {(row[title], row[follower]) for row in rows}
        if len(named) == len({row[title] for row in rows}):  # the name tells them apart, or they are all the same
            for row in rows:
                del row[follower]
    order = ["Model", "Method", OWN]
    return [{title: row[title] for title in (*order, *(title for title in row if title not in order))} for row in rows]


def _labels(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Model, method, pattern, outlier rows and refit where they differ; of the rest only what it takes to tell runs apart."""
    def differ(title: str, places: Sequence[int]) -> bool:
        return len({settings[place].get(title) for place in places}) > 1

    everywhere = range(len(settings))
    named = [title for title in _NAMED if title == "Method" or differ(title, everywhere)]
    parts = [[_part(title, found[title]) for title in named] for found in settings]
    for title in dict.fromkeys(title for found in settings for title in found if title not in _NAMED):
        for alike in _alike(parts):
            if differ(title, alike):
                for place in alike:
                    parts[place].append(_part(title, settings[place].get(title, "")))
    for alike in _alike(parts):  # the same in everything: they can only be counted
        for number, place in enumerate(alike, 1):
            parts[place][-1] += f" ({number})"
    return [" · ".join(filter(None, said)) for said in parts]


def _named(labels: Sequence[str], names: Sequence[str]) -> list[str]:
    """The labels, but names where there are; beside its label a name that several runs have, or that is another's label."""
    given = [name or label for name, label in zip([*names, *[""] * len(labels)], labels, strict=False)]
    return [name if given.count(name) == 1 else f"{name} · {label}" if name != label else label
            for name, label in zip(given, labels, strict=True)]


def _alike(parts: Sequence[Sequence[str]]) -> list[list[int]]:
    """The places of runs that are said in the same words so far."""
    groups: dict[str, list[int]] = {}
    for place, said in enumerate(parts):
        groups.setdefault(" · ".join(filter(None, said)), []).append(place)
    return [places for places in groups.values() if len(places) > 1]


def _part(title: str, text: str) -> str:
    """Form of a setting in a label: `B 64`, `α 0.1`, `exact refit`, `seed 4`."""
    if title in ("Model", "Method", "Pattern"):
        return text.replace(" of the weights", "").replace(" of the columns", " columns")
    if text in ("yes", "no"):
        return title.lower() if text == "yes" else ""
    end = title.rpartition(" ")[2]
    return f"{end if len(end) == 1 else title.lower()} {text}"


MOST = 6
