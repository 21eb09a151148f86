"""Masks: which weights went?"""

from app.masks import page
from app.masks.query import OWN
from app.shared import address, run_page

spec = run_page.begin("masks", "Which weights went?", own=OWN)
if spec is not None:
    page.draw(spec)
address.write(spec)
