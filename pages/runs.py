"""Runs: what is going on, what have I done?"""

from app.runs import listing
from app.shared import address, layout

address.leave()
listing.follow()
layout.begin("What is going on, what have I done?")
layout.link_notes(address.strangers(), on_dismiss=address.dismiss)
page = listing.choose()
listing.draw_dialog()
if page.records:
    listing.draw_marked()
    listing.draw_list(page)
else:
    listing.draw_empty()
