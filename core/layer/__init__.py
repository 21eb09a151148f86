"""One layer: the problem, its masks, updates and searches."""
