"""A scoring that goes on: what is being done, how far, and the way to stop it. Polled only while it is active."""

from __future__ import annotations

import time

import streamlit as st

from app.shared import layout, numbers, resources
from cache.scores import Scoring

_QUIET = 15.0  # seconds without a word, after which a page says so


def draw(scoring: Scoring | None) -> None:
    """Progress while it is active, else the reason where it failed."""
    if scoring is None:
        return
    if scoring.active:
        st.fragment(_follow, run_every=1.0)(scoring.key, len(resources.store().scores.of_run(scoring.key)))
    elif scoring.state == "failed":
        layout.note(scoring.error or "No reason was recorded.", tone="bad", title="These scores could not be computed.")
    elif scoring.state == "cancelled":
        layout.note("Cancelled. Tasks that were finished are kept.")


def _follow(key: str, drawn: int) -> None:
    store, jobs = resources.store(), resources.jobs()
    scoring = store.scores.scoring(key)
    if scoring is None or not scoring.active or len(store.scores.of_run(key)) != drawn:
        st.rerun()
    quiet = time.time() - (scoring.heard or scoring.submitted)
    words = scoring.doing or ("Waiting for the worker" if scoring.state == "queued" else "Starting")
    silence = f" · nothing heard for {numbers.seconds(quiet)}" if scoring.state == "running" and quiet > _QUIET else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, max(0.0, scoring.share)), text=words + silence)
        st.button("Cancel", key="cancel-scoring", on_click=jobs.scoring.cancel, args=(key,))
    problem = jobs.scoring.problem
    if problem:
        layout.note(f"{problem} What waits keeps its place, and goes on when they are there.", tone="bad")
