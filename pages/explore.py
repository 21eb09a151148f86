"""Explore: what does this pruning do to this model?"""

from app.explore import page

page.draw()
