"""Masks: which weights went?"""

from app.masks import page

page.draw()
