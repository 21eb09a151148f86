"""Layers: where does it hurt, and how much of that is the mask's fault?"""

from app.layers import page
from app.shared import address, run_page

spec = run_page.begin("layers", "Where does it hurt, and how much of that is the mask's fault?", own=("layer", "measure"))
if spec is not None:
    page.draw(spec)
address.write(spec)
