"""Layers: where does it hurt, and how much of that is due to the mask?"""

from app.layers import page

page.draw()
