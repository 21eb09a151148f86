"""Layers: where does it hurt, and how much of that is the mask's fault?"""

from app.ui import address, frame, layers

spec = frame.begin("layers", "Where does it hurt, and how much of that is the mask's fault?", own=("layer", "measure"))
if spec is not None:
    layers.draw(spec)
address.write(spec)
