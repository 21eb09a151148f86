"""Try it out: what can it still do?"""

from app.tryout import page

page.draw()
