"""Masks: the removed weights of a layer."""

from app.masks import page

page.draw()
