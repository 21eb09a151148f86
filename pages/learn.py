"""Learn: Optimal Brain Surgeon, block-wise updates, and the effect of outlier rows, stop by stop."""

from app.ui import lesson

lesson.draw()
