"""Choice of a text: a wide field with what is at hand below PRUNESCOPE_TEXTS, and an upload where the server allows it.

    PRUNESCOPE_UPLOADS=16      allows files of at most so many MiB; not set, there is no upload
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import streamlit as st

from app.shared import layout, state
from app.shared.fields import Field
from core.data.places import list_texts, texts_root, uploads_root
from core.spec.errors import BadInput

_USUAL = ("embedded", "hub:wikitext2", "hub:c4")
_TYPES = (".txt", ".md", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_MOST, _ALL = 1024, 1 << 30  # MiB of one upload at most, whatever the server is told; bytes of all uploads together


def draw(field: Field) -> None:
    """The field of a text source, or of several, over the whole width. What is not listed can be typed."""
    listed = [f"{'windows' if name.endswith('.npy') else 'text'}:{name}" for name in (*list_texts(), *_uploads())]
    about = f"{field.help.removesuffix('.')}. Files are those below {layout.plain(str(texts_root()))}."
    if field.kind == "several":
        kept = list(state.widget(field.word) or ())
        st.multiselect(field.title, list(dict.fromkeys([*_USUAL, *listed, *kept])), key=field.word, accept_new_options=True,
                       persist_state="session", help=about, placeholder="none")
        return
    now = state.widget(field.word) or field.default
    st.selectbox(field.title, list(dict.fromkeys([*_USUAL, *listed, now])), key=field.word, accept_new_options=True,
                 persist_state="session", help=about)


def draw_folder() -> None:
    """The folder of texts, and the upload into it where the server allows one."""
    layout.aside(f"Texts are read from {texts_root()} (PRUNESCOPE_TEXTS).")
    if allowed_mib():
        st.file_uploader(f"Upload a text (at most {allowed_mib()} MiB)", type=[name[1:] for name in _TYPES], key="uploaded-text",
                         on_change=_take, max_upload_size=allowed_mib())
        if words := state.recall("upload-refused", ""):
            layout.note(words, tone="bad")
        elif name := state.recall("upload-kept", ""):
            layout.aside(f"Kept as text:{name}: choose it above.")


def allowed_mib() -> int:
    """MiB that one upload may have, by PRUNESCOPE_UPLOADS; 0 where uploads are off, or where it is no whole number."""
    asked = os.environ.get("PRUNESCOPE_UPLOADS", "")
    return min(int(asked), _MOST) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 0


def keep(name: str, content: bytes) -> str:
    """Keep an uploaded text under its content's address; returns its name for `text:NAME`. Raises BadInput, field "upload"."""
    suffix, limit = Path(name).suffix.lower(), allowed_mib() << 20
    if suffix not in _TYPES or not 0 < len(content) <= limit:
        raise BadInput("upload", name, f"{', '.join(_TYPES)} of 1 byte to {limit >> 20} MiB", "Cut the file, or put it into the folder.")
    root = uploads_root()
    place = root / f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
    if not place.exists():
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(file.stat().st_size for file in root.iterdir()) + len(content) > _ALL:
            raise BadInput("upload", name, f"{_ALL >> 30} GiB of uploads in all", f"Delete some in {root}.")
        with tempfile.NamedTemporaryFile(dir=root, prefix=".", delete=False) as file:
            file.write(content)
        Path(file.name).replace(place)
    return f"uploads/{place.name}"


def _take() -> None:
    """Keep what was just uploaded."""
    file = state.widget("uploaded-text")
    state.forget("upload-refused")
    state.forget("upload-kept")
    if file is not None:
        try:
            state.remember("upload-kept", keep(file.name, file.getvalue()))
        except (BadInput, OSError) as error:
            state.remember("upload-refused", str(error))


def _uploads() -> list[str]:
    root = uploads_root()
    return sorted(f"uploads/{file.name}" for file in root.glob("[!.]*") if file.suffix in _TYPES) if root.is_dir() else []
