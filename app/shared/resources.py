"""Resources shared by all sessions of the web server: one store, one client of the workers, the models at hand, the shipped examples."""

from __future__ import annotations

import gc
import itertools
import logging
import time
from pathlib import Path

import streamlit as st
from pydantic import ValidationError

from app.shared.shipped import GALLERY
from app.workers.jobs import Jobs
from cache.keys import dense_key
from cache.records import RunRecord
from cache.store import Store, default_home
from core.models.sources import ModelSource, list_models
from core.records import Evaluated, RunResult
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import BadInput, PruneError

_ALL, _SECONDS = 1024, 60.0  # runs of a page, and seconds, between two collections that look through everything
_runs = itertools.count(1)
_looked = [float("-inf")]  # when everything was looked through last


def jobs() -> Jobs:
    """The client that submits, watches and cancels runs. Made once for each home; takes up what an earlier server left behind."""
    return _at_home(str(default_home()))[1]


def store() -> Store:
    """The records and results, shared with the workers."""
    return _at_home(str(default_home()))[0]


def damage() -> tuple[str, ...]:
    """Damage of the store, and the remedy; nothing for a store that cannot be opened at all: pages tell that in their place."""
    try:
        return store().damage()
    except BadInput:
        return ()


def close() -> None:
    """Let go of workers and store; what was asked for goes on. The next visit opens them again."""
    jobs().close()
    _at_home.clear()


def newest_demo() -> RunRecord | None:
    """The run of the demo model that finished last, and can still be read."""
    finished = store().runs(limit=1_000_000, states=("finished",))
    demo = sorted((record for record in finished if record.spec.model == "demo"), key=lambda record: record.ended or 0.0)
    return next((record for record in reversed(demo) if store().result(record.key) is not None), None)


def dense(spec: RunSpec) -> Evaluated | None:
    """The unpruned model's perplexity under the spec's protocol, where a run in the store or a shipped one has measured it; rather one
    that was kept window by window."""
    try:
        key = dense_key(spec, revisions(spec))
    except PruneError:
        return None
    shipped = [result.dense for result in gallery() if dense_key(result.spec, result.revisions) == key]
    kept = store().dense(key)
    by_window = sorted([kept, *shipped] if kept else shipped, key=lambda known: known.losses is None)
    return next(iter(by_window), None)


def at_hand() -> str:
    """Runs that are there instead of one that is not."""
    count = store().count(("finished",))
    return f"{count} finished {'run is' if count == 1 else 'runs are'} here, on the Runs page, and {len(shipped())} shipped ones."


def settle() -> None:
    """At the end of a run of a page: what has come to stay, programs mostly, is taken out of the garbage collector's rounds.

    Streamlit collects after each run of a script, and meanwhile nothing else goes on: with all of Plotly and Dask to look through that
    is a tenth of a second. Programs come with the first runs; later all is looked through once a minute while pages run: sessions that
    were closed are in circles, and would stay.
    """
    run, now = next(_runs), time.monotonic()
    if run.bit_count() == 1 or run % _ALL == 0 or now > _looked[0] + _SECONDS:
        _looked[0] = now
        gc.unfreeze()
        gc.collect()
        gc.freeze()


@st.cache_data(ttl=20, show_spinner=False)
def models() -> tuple[ModelSource, ...]:
    """The models at hand: the demo, folders, hub snapshots in the local cache."""
    return list_models()


def gallery() -> tuple[RunResult, ...]:
    """Results of the demo model that were computed by this code and shipped with it."""
    return tuple(shipped().values())


def shipped() -> dict[str, RunResult]:
    """The gallery by its names, such as `thanos-0.5`."""
    return read_gallery(str(GALLERY))


@st.cache_resource(show_spinner=False)
def read_gallery(folder: str) -> dict[str, RunResult]:
    """The results in a folder by their names, read once; unreadable files are left out."""
    found: dict[str, RunResult] = {}
    for path in sorted(Path(folder).glob("*.json")):
        try:
            found[path.stem.removeprefix("0-")] = RunResult.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            logging.getLogger(__name__).warning("not a result of this version: %s", path)
    return found


@st.cache_resource(show_spinner=False)
def _at_home(home: str) -> tuple[Store, Jobs]:
    opened = Store(Path(home))
    client = Jobs(opened)
    client.recover()
    client.warm()
    return opened, client
