"""Outlier rows: which rows carry the layer?"""

from app.outliers import page

page.draw()
