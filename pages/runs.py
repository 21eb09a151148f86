"""Runs: queued, running and finished."""

from app.runs import page

page.draw()
