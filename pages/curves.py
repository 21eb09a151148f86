"""Curves: how far can I go?"""

from app.curves import page

page.draw()
