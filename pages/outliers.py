"""Outlier rows: which rows carry the layer?"""

from app.outliers import page
from app.shared import address, run_page

spec = run_page.begin("outliers", "Which rows carry the layer?", own=("layer",))
page.draw(spec)
address.write(spec)
