"""The sessions of the interactive worker: dense models with their Gram matrices, opened once and kept; they answer questions.

The web server imports this for the name of a task; torch is imported inside functions only.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.workers import process
from app.workers.questions import Question, SessionQuestion, StoreQuestion
from cache.keys import content_key, grams_key
from core.models.inputs import require_same
from core.models.memory_room import memory_room
from core.records import Revisions
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import BadInput, Cancelled

if TYPE_CHECKING:
    from cache.grams import GramFolder
    from core.whatif.session import Session

log = logging.getLogger("distributed.prunescope")
_MOST = 2  # sessions kept open
_SHARE = 0.6  # of the memory that is free, for one session
_HELD = 0.25  # of it, for the layers of a model that is read by layers: solving one takes as much again
_sessions: OrderedDict[str, Session] = OrderedDict()
_opening = threading.Lock()
# What is not quick computes on this thread and those that it starts: they step back where a quick answer or a page wants their core.
_aside = ThreadPoolExecutor(1, thread_name_prefix="aside", initializer=os.nice, initargs=(10,))


@dataclass(frozen=True, kw_only=True)
class Failure:
    """There is no answer, for a reason in words."""

    words: str


def answer(question: Question, asked_of: Revisions | None = None) -> object:
    """The answer to a question, or a Failure. Ends early when nobody waits for it any more. `asked_of`: the revisions when it was
    asked, under which the answer will be kept; a model or text that has changed since is refused."""
    try:
        given = question, asked_of, _waited_for()
        return _answer(*given) if question.quick else _aside.submit(_answer, *given).result()
    except Cancelled:
        log.info("given up: %s", type(question).__name__)
        return Failure(words="This answer was given up. Ask again.")
    except Exception as error:
        log.exception("no answer to %s", type(question).__name__)
        return Failure(words=process.failure_words(error))


def _answer(question: Question, asked_of: Revisions | None, wanted: Callable[[], bool]) -> object:
    if isinstance(question, StoreQuestion):
        process.use_all_cores()
        return question.answer_from(process.open_store())
    assert isinstance(question, SessionQuestion), type(question)
    return question.answer(session_for(question.spec, asked_of).until(wanted))


def _waited_for() -> Callable[[], bool]:
    """True if the task of this thread is still wanted. A released future reaches a worker as a canceled task."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # answered in the process that asks
        return lambda: True
    tasks_known, name = worker.state.tasks, worker.get_current_task()

    def waited_for() -> bool:
        state = tasks_known.get(name)
        return state is not None and state.state != "cancelled"

    return waited_for


def session_for(spec: RunSpec, expected: Revisions | None = None) -> Session:
    """The session of a spec's model and texts, opened if need be; its Gram matrices are kept in the store. Raises PruneError,
    InputChanged where model or texts are not those expected or change while they are opened."""
    with _opening:
        process.use_all_cores()
        spec, expected = spec.on_each_text[0], expected and expected.on_each_text[0]
        found = revisions(spec)
        require_same((expected or found).addresses, found.addresses, spec)
        key = content_key("session", grams=grams_key(spec, found), evaluation=spec.evaluation, text=found.evaluation)
        if key not in _sessions:
            _sessions[key] = _open(spec, found, process.open_store().grams(grams_key(spec, found)))
            while len(_sessions) > _MOST:
                _sessions.popitem(last=False)
        _sessions.move_to_end(key)
        return _sessions[key]


def open_first(spec: RunSpec) -> None:
    """Open the session that the first visitor will want, while nobody waits."""
    try:
        session = _aside.submit(session_for, spec).result()
        _aside.submit(lambda: session.dense).result()  # measured now, remembered
        for layer in session.layers:  # so are these, one after the other: whatever somebody asks meanwhile comes between
            _aside.submit(session.sensitivity, layer.name).result()
    except Exception:
        log.exception("the demo's session could not be opened")


def _open(spec: RunSpec, found: Revisions, kept: GramFolder) -> Session:
    from core.models.device import choose_device
    from core.models.open_model import open_model
    from core.run.planning import session_bytes
    from core.whatif.session import Session

    needed, room = session_bytes(spec), round(_SHARE * memory_room())
    if needed > room:
        return _open_layers(spec, found, kept, needed, room)
    opened = open_model(spec, choose_device(spec.device), "never")
    require_same(found.addresses, opened.inputs.addresses, spec)
    return Session(opened, kept)


def _open_layers(spec: RunSpec, found: Revisions, kept: GramFolder, needed: int, room: int) -> Session:
    """The session of a model that does not fit into memory with its Gram matrices: single layers are read when they are asked for."""
    from core.models.block_keys import NotInBlocks
    from core.models.device import choose_device
    from core.models.open_model import open_for_layers
    from core.whatif.layer_session import LayerSession

    try:
        opened = open_for_layers(spec, choose_device(spec.device))
    except NotInBlocks as error:
        raise BadInput("model", spec.model, f"models that fit into memory with their Gram matrices ({room / 1e9:.1f} GB here), or whose "
                       "layers can be read one by one", f"This one takes {needed / 1e9:.1f} GB. {error} Run it instead.") from error
    require_same(found.addresses, opened.inputs.addresses, spec)
    return LayerSession(opened, kept, room=round(_HELD * memory_room()))
