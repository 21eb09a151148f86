"""Annotations added together are those added one by one."""

import plotly.graph_objects as go

from app.shared.charts.annotations import annotate


def test_they_follow_those_that_are_there():
    wanted = [{"x": place, "y": 0, "text": str(place), "showarrow": False} for place in range(3)]
    one_by_one, together = go.Figure(), go.Figure()
    for figure in (one_by_one, together):
        figure.add_annotation(text="first")
    for annotation in wanted:
        one_by_one.add_annotation(**annotation)
    annotate(together, wanted)
    assert together == one_by_one
    annotate(together, [])
    assert together == one_by_one
