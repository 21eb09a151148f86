"""Learn: Optimal Brain Surgeon, block-wise updates, and the effect of outlier rows, stop by stop."""

from app.learn import page

page.draw()
