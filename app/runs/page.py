"""The Runs page: every run that was asked for, what it came to, and what can be done about it."""

from __future__ import annotations

from app.runs import dialogs, listing, queue_line
from app.shared import address, layout


def draw() -> None:
    """Draw the whole page, from its link."""
    address.leave()
    listing.follow()
    layout.begin("Which runs are queued, running and finished?")
    layout.link_notes(address.strangers(), on_dismiss=address.dismiss)
    shown = listing.choose()
    dialogs.draw()
    queue_line.draw()
    if shown.records:
        listing.draw_marked()
        listing.draw_list(shown)
        listing.draw_take_away(shown)
    else:
        listing.draw_empty(shown)
