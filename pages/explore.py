"""Explore: effect of a pruning on a model."""

from app.explore import page

page.draw()
