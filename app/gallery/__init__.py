"""Runs of the demo model that were computed by this code and are shipped with it, so that no first visit is empty."""
