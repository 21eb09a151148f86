"""Line about the queue above the list: how many wait, when the last of them begins, and the switch that pauses the queue."""

from __future__ import annotations

import time

import streamlit as st

from app.shared import numbers, resources
from app.workers.waiting import Wait
from cache.records import ACTIVE


def draw() -> None:
    """Draw the line while something is queued or running, or the queue is paused; it is read again every few seconds."""
    if resources.store().count(ACTIVE) or resources.store().queue_pause().since is not None:
        st.fragment(_draw, run_every=5.0)()


def _draw() -> None:
    since = resources.store().queue_pause().since
    waits = resources.jobs().queue.waits()
    running = resources.store().count(("running",))
    with st.container(horizontal=True, vertical_alignment="center", key="queue-line"):
        st.html(f"<span class='ps-under'>{words(tuple(waits.values()), running, since, time.time())}</span>")
        st.button("Resume the queue" if since is not None else "Pause the queue", key="queue-pause", type="tertiary",
                  on_click=resources.jobs().queue.pause_queue, args=(since is None,),
                  help=None if since is not None else "What is being computed is finished; nothing else begins, for anybody.")


def words(waits: tuple[Wait, ...], running: int, since: float | None, now: float) -> str:
    """The queue in one or two sentences. `since`: when it was paused."""
    waiting = [wait for wait in waits if not wait.paused]
    paused = len(waits) - len(waiting)
    parts = [f"{running} being computed", f"{len(waiting)} waiting", *([f"{paused} paused"] if paused else [])]
    said = f"{', '.join(parts)}."
    if since is not None:
        return f"The queue was paused {numbers.ago(since, now)}: nothing begins until it is resumed. {said}"
    last = max(waiting, key=lambda wait: wait.position or 0, default=None)
    if last is not None and last.seconds is not None and len(waiting) > 1:
        said += f" The last begins in about {numbers.seconds(last.seconds)}."
    return said
