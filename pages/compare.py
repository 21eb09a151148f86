"""Compare: what changed?"""

from app.compare import page

page.draw()
