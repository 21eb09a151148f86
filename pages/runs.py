"""Runs: which are queued, running and finished?"""

from app.runs import listing
from app.shared import address, layout

address.leave()
listing.follow()
layout.begin("Which runs are queued, running and finished?")
layout.link_notes(address.strangers(), on_dismiss=address.dismiss)
page = listing.choose()
listing.draw_dialog()
if page.records:
    listing.draw_marked()
    listing.draw_list(page)
else:
    listing.draw_empty()
