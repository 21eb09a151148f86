"""Layers: where does it hurt, and how much of that is due to the mask?"""

from app.layers import page
from app.shared import address, run_page

spec = run_page.begin("layers", "Where does it hurt, and how much of that is due to the mask?", own=("layer", "measure"))
if spec is not None:
    page.draw(spec)
address.write(spec)
