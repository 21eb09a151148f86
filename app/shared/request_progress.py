"""Progress of a request about a finished run: what is being done, how far, and the way to stop it. Polled only while it is active."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from app.shared import layout, numbers
from app.workers.requests import RequestJobs
from cache.requests import Request

_QUIET = 15.0  # seconds without a word, after which a page says so


def draw(jobs: RequestJobs[Any], request: Request | None, *, failed: str, cancelled: str, place: str,
         partial: Callable[[], object] = lambda: None) -> None:
    """Progress while it is active, else the reason where it failed. The page is drawn anew at the end, and when `partial` gives another
    value: something new to show. `place` tells several on one page apart."""
    if request is None:
        return
    if request.active:
        st.fragment(_follow, run_every=1.0)(jobs, request.key, place, partial, partial())
    elif request.state == "failed":
        layout.note(request.error or "No reason was recorded.", tone="bad", title=failed)
    elif request.state == "cancelled":
        layout.note(cancelled)


def _follow(jobs: RequestJobs[Any], key: str, place: str, partial: Callable[[], object], drawn: object) -> None:
    request = jobs.requests.read(key)
    if request is None or not request.active or partial() != drawn:
        st.rerun()
    quiet = time.time() - (request.heard or request.submitted)
    words = request.doing or ("Waiting for the worker" if request.state == "queued" else "Starting")
    silence = f" · nothing heard for {numbers.seconds(quiet)}" if request.state == "running" and quiet > _QUIET else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, max(0.0, request.share)), text=words + silence)
        st.button("Cancel", key=f"cancel-{place}", on_click=jobs.cancel, args=(key,))
    if jobs.problem:
        layout.note(f"{jobs.problem} What waits keeps its place, and goes on when they are there.", tone="bad")
