"""Try it out: zero-shot scores of a pruned model."""

from app.tryout import page

page.draw()
