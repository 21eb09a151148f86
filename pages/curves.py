"""Curves: perplexity over sparsity, block size, outlier rows and time."""

from app.curves import page

page.draw()
