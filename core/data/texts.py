"""Text sources: embedded, text:FILE[:FIELD], hub:NAME, windows:FILE.npy. No torch, no tokenizer.

A text is a list of documents. Evaluation joins them with a blank line and reads on; calibration draws windows from inside
documents (core/data/windows.py).
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from core.data.corpus import embedded_text
from core.data.digests import digest
from core.data.documents import read_documents
from core.data.files import Stamp, stamp
from core.data.forms import LONG, Unreadable, form_of, has_long_document
from core.data.places import locate_text
from core.spec.errors import BadInput

Split = Literal["calibration", "evaluation"]
MAX_BYTES = 1 << 30
SEEN_WHOLE = 8 << 20  # bytes of a file that is opened where it is asked for; of a larger one only the hash is taken, and a run opens it
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_HUB = {  # the literature's texts by a short name: repository, configuration, files, splits
    "c4": ("allenai/c4", None, {"train": "en/c4-train.00000-of-01024.json.gz",
                                "validation": "en/c4-validation.00000-of-00008.json.gz"}, ("train", "validation")),
    "wikitext2": ("Salesforce/wikitext", "wikitext-2-raw-v1", None, ("train", "test")),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Text:
    """Documents with their content address; `windows` is the file of ready token windows instead, where that was asked.

    `long`: calibration windows of a long document are drawn by its characters (core/data/drawing.py), and the address says so.
    """

    documents: Sequence[str]
    description: str
    sha256: str
    windows: Path | None = None
    long: bool = False


def read_text(source: str, split: Split) -> Text:
    """The text behind a source; a hub's is downloaded.

    Raises BadInput, field = split, when it is missing, unreadable, empty or out of reach.
    """
    kind, _, rest = source.partition(":")
    if kind == "embedded":
        text = embedded_text(split)
        return Text(documents=[text.text], description=text.description, sha256=text.sha256)
    found = _located(source, split)
    return _from_hub(rest, split) if found is None else _from_file(stamp(found[0]), kind, split, found[1])


def text_file(source: str, split: Split) -> Path | None:
    """The file behind text:FILE or windows:FILE, links resolved; None for other sources. Raises BadInput for one that cannot be read."""
    found = _located(source, split)
    return None if found is None else found[0]


def _located(source: str, split: Split) -> tuple[Path, str | None] | None:
    """The file of a source, and the field that `text:FILE:FIELD` asks for. A name with a colon that is a file's own is that file's."""
    kind, _, name = source.partition(":")
    if kind in ("embedded", "hub"):
        return None
    field: str | None = None
    try:
        path = locate_text(name, split)
    except BadInput as error:
        path, field = _with_field(name if kind == "text" else "", split, error)
    if not 0 < path.stat().st_size <= MAX_BYTES:
        raise BadInput(split, name, f"a file of 1 byte to {MAX_BYTES >> 30} GiB", "Cut the file, or fill it.")
    return path, field


def _with_field(name: str, split: Split, missing: BadInput) -> tuple[Path, str]:
    """The file of `FILE:FIELD`, and the field: a colon may be in either. Raises `missing` for a name without one; BadInput."""
    parts = [(name[:match.start()], name[match.end():]) for match in re.finditer("(?<=.):(?=.)", name)]
    for file, field in reversed(parts):
        try:
            return locate_text(file, split), field
        except BadInput as error:
            missing = error
    raise missing


@lru_cache(maxsize=4)
def _from_file(known: Stamp, kind: str, split: Split, field: str | None) -> Text:
    """The stamp is the cache's key: a file that changes is read again."""
    name, path = known.path, Path(known.path)
    address = _address(known, kind, field)
    if kind == "windows":
        return Text(documents=(), description=f"windows of {path.name}", sha256=address, windows=path)
    form = form_of(path)
    try:
        documents = read_documents(path, form, field)
    except Unreadable as error:
        raise BadInput(split, name, "UTF-8 text; JSON lines, CSV or Parquet with a field 'text' or text:FILE:FIELD; a JSON list",
                       f"{str(error).rstrip('.')}.") from error
    if not any(document.strip() for document in documents):
        raise BadInput(split, name, "a file with text in it", "This one is empty.")
    return Text(documents=documents, description=f"{path.name}{f', field {field}' if field else ''}", sha256=address,
                long=has_long_document(path, form) and any(len(document) > LONG for document in documents))


def _address(known: Stamp, kind: str, field: str | None) -> str:
    """sha256 of the file's bytes; with the field, and with a mark where releases before this one read the same bytes in another way."""
    found, form = digest(known), form_of(Path(known.path))
    if kind == "windows":
        return found
    if not (long := "\nlong" if has_long_document(Path(known.path), form) else "") and form.plain and field is None:
        return found
    strict = " of strict rows" if form.kind == "csv" else ""  # those that do not fit the header were once read askew
    return hashlib.sha256(f"{found}\n{form.kind}{strict}\n{field or ''}{long}".encode()).hexdigest()


def text_revision(source: str, split: Split) -> str:
    """The content address of a text, without reading a hub's data set: there it is the repository's commit."""
    kind, _, name = source.partition(":")
    if (found := _located(source, split)) is not None:
        known = stamp(found[0])
        if known.size > SEEN_WHOLE or form_of(found[0]).kind in ("csv", "parquet"):  # read by the run alone
            return _address(known, kind, found[1])
        return _from_file(known, kind, split, found[1]).sha256
    if kind != "hub":
        return read_text(source, split).sha256
    repository, configuration, part, _ = _hub_parts(name, split)
    return f"{repository}:{configuration}:{part}@{_hub_commit(repository, name, split)}{_long(repository)}"


def _long(repository: str) -> str:
    """Mark of data sets that may hold documents of over 4 Mi characters, whose windows are drawn by characters. The literature's do not."""
    return "" if any(repository == known for known, *_ in _HUB.values()) else "+long"


def _hub_commit(repository: str, name: str, split: Split) -> str:
    """The commit the hub names now; out of reach, the one the local cache holds."""
    from huggingface_hub import HfApi, constants

    try:
        return str(HfApi().dataset_info(repository, timeout=5).sha)
    except Exception as error:  # network, authentication, unknown name: all mean 'not from the hub'
        reference = Path(constants.HF_HUB_CACHE) / f"datasets--{repository.replace('/', '--')}" / "refs" / "main"
        if reference.is_file():
            return reference.read_text().strip()
        raise _out_of_reach(split, name, error) from error


def _hub_parts(name: str, split: Split) -> tuple[str, str, str, dict[str, str] | None]:
    """`c4`, `wikitext2` or `owner/name[:configuration[:split]]` as (repository, configuration, split, files)."""
    repository, _, rest = name.partition(":")
    configuration, _, part = rest.partition(":")
    if repository in _HUB:
        repository, preset, files, splits = _HUB[repository]
        part = splits[split == "evaluation"]
        return repository, preset or "", part, {part: files[part]} if files else None
    if not _HUB_NAME.fullmatch(repository) or Path(repository).exists():  # the datasets library would read a folder of that name
        raise BadInput(split, f"hub:{name}", "c4, wikitext2 or owner/name[:configuration[:split]]", "For a file use text:FILE.")
    return repository, configuration, part or ("train" if split == "calibration" else "test"), None


def _from_hub(name: str, split: Split) -> Text:
    """Through the datasets library, which keeps a copy on disk; it imports torch, so only a worker comes here."""
    repository, configuration, part, files = _hub_parts(name, split)
    try:
        from datasets import load_dataset_builder

        builder: Any = load_dataset_builder(repository, configuration or None, data_files=files)
        _check_place(repository, builder.config.data_files, split, name)
        builder.download_and_prepare()
        data: Any = builder.as_dataset(split=part)
        documents = data["text"]
    except BadInput:
        raise
    except Exception as error:  # the library raises many kinds, its own and the network's
        raise _out_of_reach(split, name, error) from error
    return Text(documents=documents, description=" ".join(filter(None, (repository, configuration, part))),
                sha256=hashlib.sha256(f"{repository}:{configuration}:{part}:{data._fingerprint}{_long(repository)}".encode()).hexdigest(),
                long=bool(_long(repository)))


def _check_place(repository: str, files: dict[str, list[str]] | None, split: Split, name: str) -> None:
    """Raise BadInput for a data set whose files are not its own: its card may name any path of this machine, or another host."""
    own = f"hf://datasets/{repository}@"
    if any(not str(file).rpartition("::")[2].startswith(own) for part in (files or {}).values() for file in part):
        raise BadInput(split, f"hub:{name}", "a data set whose files are in its own repository", "This one names files elsewhere.")


def _out_of_reach(split: Split, name: str, error: Exception) -> BadInput:
    return BadInput(split, f"hub:{name}", "a data set that the hub (or its cache on this machine) has, with a column 'text'",
                    f"{type(error).__name__}: {str(error)[:200]}. Offline, use embedded or text:FILE.")
