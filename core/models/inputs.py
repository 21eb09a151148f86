"""Inputs of a computation, model and texts, by content: taken before anything is read, checked after it has been read.

    inputs = take_inputs(spec)      # addresses and stamps of all files, before
    ...                             # load, tokenize, compute
    inputs.check()                  # raises InputChanged if a file was written meanwhile

A model's weights may be read at any time while a run goes on, so a run checks before it keeps a block and before it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.data.files import Stamp, current, stamp
from core.data.texts import Split, text_file, text_revision
from core.models.folders import model_files
from core.models.sources import ModelSource, resolve_model
from core.spec import RunSpec
from core.spec.errors import InputChanged, PruneError


def input_names(spec: RunSpec) -> tuple[str, ...]:
    """The inputs of a run: model, calibration, evaluation, evaluation 2, …"""
    further = range(2, 2 + len(spec.further_evaluations))
    return ("model", "calibration", "evaluation", *(f"evaluation {place}" for place in further))


def evaluation_names(spec: RunSpec) -> tuple[str, ...]:
    """Those that are evaluation texts."""
    return input_names(spec)[2:]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Content addresses by input (`input_names`), and the stamps of the files behind them."""

    spec: RunSpec
    source: ModelSource
    addresses: Mapping[str, str]
    stamps: Mapping[str, tuple[Stamp, ...]]

    def check(self) -> None:
        """Raises InputChanged if a file of an input was written, replaced or removed since the inputs were taken.

        A file whose time of status change alone has moved (permissions, links) is compared by content.
        """
        for name, before in self.stamps.items():
            now = [current(item) for item in before]
            if any(item is None or item.written != old.written for item, old in zip(now, before, strict=True)):
                raise self._changed(name)
            if any(item != old for item, old in zip(now, before, strict=True)):
                self._compare(name)

    def check_read(self, source: ModelSource) -> None:
        """Raises InputChanged unless `source`, which was loaded, and the texts just read are those taken.

        Texts of a hub are compared here and never again: they are in memory now, and the hub may move on.
        """
        if (source.path, source.revision) != (self.source.path, self.addresses["model"]):
            raise self._changed("model")
        self.check()
        for name in self.addresses:
            if name not in self.stamps:
                self._compare(name)

    def _compare(self, name: str) -> None:
        try:
            same = _address(self.spec, name) == self.addresses[name]
        except PruneError as error:
            raise self._changed(name) from error
        if not same:
            raise self._changed(name)

    def _changed(self, name: str) -> InputChanged:
        return InputChanged(name, _asked(self.spec, name))


def take_inputs(spec: RunSpec, names: tuple[str, ...] = ()) -> Inputs:
    """The inputs of a spec as they are now, all or those named; a hub model is downloaded. Raises BadInput for what is not there."""
    names = names or input_names(spec)
    resolve_model(spec.model, spec.revision, download=True)
    source = resolve_model(spec.model, spec.revision)
    stamps = {name: stamped for name in names if (stamped := _stamps(spec, name, source)) is not None}
    addresses = {name: _address(spec, name) for name in names}  # after the stamps: a change in between is noticed
    return Inputs(spec=spec, source=source, addresses=addresses, stamps=stamps)


def require_same(before: Mapping[str, str], now: Mapping[str, str], spec: RunSpec) -> None:
    """Raises InputChanged for the first input whose address is another than before."""
    for name in input_names(spec):
        if before[name] != now[name]:
            raise InputChanged(name, _asked(spec, name))


def _stamps(spec: RunSpec, name: str, source: ModelSource) -> tuple[Stamp, ...] | None:
    """None where the input consists of no files that a person could write: the embedded text, a hub's."""
    if name == "model":
        return tuple(map(stamp, model_files(source)))
    file = text_file(_asked(spec, name), _split(name))
    return None if file is None else (stamp(file),)


def _address(spec: RunSpec, name: str) -> str:
    if name == "model":
        return resolve_model(spec.model, spec.revision).revision
    return text_revision(_asked(spec, name), _split(name))


def _asked(spec: RunSpec, name: str) -> str:
    if name in ("model", "calibration"):
        return spec.model if name == "model" else spec.calibration.source
    place = int(name.removeprefix("evaluation") or 1)
    return (spec.evaluation, *spec.further_evaluations)[place - 1].source


def _split(name: str) -> Split:
    return "calibration" if name == "calibration" else "evaluation"
