"""Layers: error of every layer, and its part due to the mask."""

from app.layers import page

page.draw()
