"""Outlier rows: the rows that carry a layer."""

from app.outliers import page

page.draw()
