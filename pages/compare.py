"""Compare: runs side by side."""

from app.compare import page

page.draw()
