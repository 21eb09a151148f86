"""Scores of whole structures: which decoder blocks cost least. One file a score, and choice, which runs them."""
