"""Masks: which weights went?"""

from app.ui import address, frame, masks
from app.ui.mask_words import OWN

spec = frame.begin("masks", "Which weights went?", own=OWN)
if spec is not None:
    masks.draw(spec)
address.write(spec)
