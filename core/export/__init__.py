"""Pruned models as folders on disk."""
