"""Model and texts of a run: described where the store is; found by content where the worker is, or received into its home. No torch.

    HOME/received/models/ADDRESS/      a model that was sent here: kept, and found by its content the next time
    HOME/received/texts/ADDRESS/FILE   a text
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.workers.away.parcel import Input, SizedFile
from core.data.places import default_home, list_texts, locate_text, texts_root
from core.data.received import Received, reading
from core.data.texts import text_file, text_revision
from core.models.folders import inspect_folder, model_files
from core.models.sources import list_models, resolve_model
from core.records import Revisions
from core.spec import RunSpec
from core.spec.errors import BadInput, PruneError

_BESIDE = ("*.json", "*.model", "*.tiktoken", "tokenizer.model.*", "merges.txt", "vocab.txt", "*.jinja", "LICENSE*", "NOTICE*", "README.md")
_LARGEST_BESIDE = 64 << 20  # bytes of a file that decides nothing


def describe(spec: RunSpec, revisions: Revisions) -> tuple[Input, ...]:
    """Inputs of a spec with their files, where this host has them. Raises BadInput for a text that is not there."""
    found = [_model(spec, revisions)]
    texts = [(spec.calibration.source, "calibration", revisions.calibration),
             *((one.evaluation.source, "evaluation", found.evaluation)
               for one, found in zip(spec.on_each_text, revisions.on_each_text, strict=True))]
    for source, split, address in texts:
        file = text_file(source, "evaluation" if split == "evaluation" else "calibration")
        if file is not None:
            found.append(Input(kind="text", name=_name_in(source), revision=address, origin="text", source=source,
                               files=(SizedFile(name=file.name, size=file.stat().st_size),)))
    return tuple(found)


def path_of(asked: Input, spec: RunSpec, name: str) -> Path:
    """The file of an input on the store's host. Raises BadInput where it is gone."""
    if asked.kind == "text":
        file = text_file(asked.source, "calibration")
        assert file is not None, asked.source
        return file
    if name not in {file.name for file in asked.files}:
        raise BadInput("model", spec.model, "a file of the model", f"The worker asked for {name}.")
    return resolve_model(spec.model, spec.revision).path / name


def find(inputs: Sequence[Input]) -> tuple[Received, tuple[Input, ...]]:
    """The places of the inputs on this host, and those that must be sent. An input that the store's host has no files of is left to the
    run, which can fetch it from the hub."""
    models, texts, missing = {}, {}, list[Input]()
    for asked in inputs:
        if _by_name(asked):
            continue
        place = next((place for place in _candidates(asked) if _holds(asked, place)), None)
        if place is not None and asked.origin != "text":
            models[asked.name] = asked.origin, place
        elif place is not None:
            texts[asked.name] = place
        elif asked.files:
            missing.append(asked)
    return Received(models=models, texts=texts), tuple(missing)


def received_folder(asked: Input) -> Path:
    """The folder of an input that was sent to this host."""
    return default_home() / "received" / f"{asked.kind}s" / asked.revision.replace("/", "_")


@contextmanager
def one_at_a_time(wait: Callable[[Callable[[], bool | None]], object]) -> Generator[None]:
    """Of the workers of this home one receives at a time, and the next finds what it has received. `wait` returns when its argument,
    called again and again, is true."""
    folder = default_home() / "received"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:

        def locked() -> bool | None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            return True

        wait(locked)
        yield


def settle(asked: Input, folder: Path) -> None:
    """Take a folder that was received into the home. Raises BadInput where it does not hold what was asked for."""
    place = received_folder(asked)
    file = folder / asked.files[0].name
    named = folder.parent / place.name  # of a snapshot of the hub the folder's name is the revision
    folder.replace(named)
    if not _holds(asked, named if asked.kind == "model" else named / file.name):
        shutil.rmtree(named, ignore_errors=True)
        raise BadInput(asked.kind, asked.name, "files that hold what they held when this was asked for",
                       "What arrived at the worker is something else. Ask for it again.")
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if place.exists():  # damaged, or it would have been found
        shutil.rmtree(place)
    named.replace(place)


def _model(spec: RunSpec, revisions: Revisions) -> Input:
    try:
        source = resolve_model(spec.model, spec.revision)
    except BadInput:  # a hub's, whose weights are not here
        return Input(kind="model", name=spec.model, revision=revisions.model, origin="hub")
    needed = {file.name: file for file in model_files(source)}
    for pattern in _BESIDE:
        needed |= {file.name: file for file in source.path.glob(pattern) if file.is_file() and file.stat().st_size <= _LARGEST_BESIDE}
    files = tuple(SizedFile(name=name, size=needed[name].stat().st_size) for name in sorted(needed))
    return Input(kind="model", name=spec.model, revision=revisions.model, origin=source.origin, files=files)


def _name_in(source: str) -> str:
    """The part of `text:NAME[:FIELD]` that is the file's name."""
    name = source.partition(":")[2]
    try:
        locate_text(name, "calibration")
    except BadInput:
        return name.rpartition(":")[0]
    return name


def _by_name(asked: Input) -> bool:
    """True if the name itself leads to the content on this host."""
    with suppress(PruneError, OSError):
        if asked.kind == "text":
            return text_revision(asked.source, "calibration") == asked.revision
        return asked.origin != "hub" and resolve_model(asked.name).revision == asked.revision  # a hub's name may mean another commit here
    return False


def _candidates(asked: Input) -> Iterator[Path]:
    """Places that may hold an input: what was received before, then the models or texts of this host."""
    place = received_folder(asked)
    if asked.kind == "text":
        name = asked.files[0].name if asked.files else ""
        yield place / name
        yield from (texts_root() / text for text in list_texts() if Path(text).name == name)
        return
    yield place
    if asked.origin == "hub":
        with suppress(PruneError):
            yield resolve_model(asked.name, asked.revision).path
    for model in list_models():
        weights = sum(file.size for file in asked.files if file.name.endswith(".safetensors"))
        if model.revision == asked.revision or (not model.revision and model.bytes == weights):  # large, and not read yet
            yield model.path


def _holds(asked: Input, place: Path) -> bool:
    """True if a place holds the content of an input. Large files are read for it once."""
    with suppress(PruneError, OSError):
        if asked.kind == "text":
            with reading(Received(models={}, texts={asked.name: place})):
                return place.is_file() and text_revision(asked.source, "calibration") == asked.revision
        assert asked.origin != "text"
        return place.is_dir() and inspect_folder(asked.name, asked.origin, place).revision == asked.revision
    return False
