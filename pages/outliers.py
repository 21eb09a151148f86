"""Outlier rows: which rows carry the layer?"""

from app.ui import address, frame, outliers

spec = frame.begin("outliers", "Which rows carry the layer?", own=("layer",))
outliers.draw(spec)
address.write(spec)
