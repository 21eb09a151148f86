"""Error against iterations and time for one mask on a real layer (the figure of Boža 2024). Pure functions from a record to Plotly."""

from __future__ import annotations

import plotly.graph_objects as go

from app.learn.charts.matrix import bare
from app.shared.charts.axes import log_axis
from app.shared.style import INKS, Mark, Theme, method_mark
from core.records import DESCENTS, Convergence

MARKS = {"admm": method_mark("admm1"), "adam": method_mark("adaprune"), "sgd": Mark(color="#7F7F7F", symbol="x", dash="dot"),
         "cg": method_mark("frontier")}


def descent_curves(found: Convergence, *, over: str = "iterations", theme: Theme = "light", height: int = 460) -> go.Figure:
    """f/f* of each descent, over iterations or over seconds."""
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 56, "b": 8})
    least = found.optimum or min(error for trace in found.traces for error in trace.errors) or 1.0
    ratios = [error / least for trace in found.traces for error in trace.errors]
    times = over == "seconds"
    for trace in found.traces:
        mark = MARKS[trace.name]
        xs = [1e3 * second for second in trace.seconds] if times else list(range(len(trace.errors)))
        figure.add_trace(go.Scatter(
            x=xs, y=[error / least for error in trace.errors], mode="lines+markers", name=DESCENTS[trace.name],
            line={"color": mark.color, "dash": mark.dash, "width": 2},
            marker={"symbol": mark.symbol, "size": 6, "color": mark.color, "maxdisplayed": 14},
            hovertemplate=f"{DESCENTS[trace.name]}: %{{y:.3f}} × the best<extra></extra>"))
    sparsegpt = method_mark("sparsegpt")
    last = 1e3 * max(trace.seconds[-1] for trace in found.traces) if times else found.iterations
    figure.add_trace(go.Scatter(x=[0, last], y=[found.sweep / least] * 2, mode="lines", name="SparseGPT's sweep",
                                line={"color": sparsegpt.color, "dash": sparsegpt.dash, "width": 2},
                                hovertemplate="SparseGPT's sweep: %{y:.3f} × the best<extra></extra>"))
    figure.add_trace(go.Scatter(x=[0, last], y=[1, 1], mode="lines", name="best possible for this mask", hoverinfo="skip",
                                line={"color": INKS[theme].faint, "dash": "dot", "width": 1.5}))
    figure.update_layout(
        xaxis={"title": {"text": "milliseconds, without counting the errors" if times else "iterations: products with a b×b matrix"}},
        yaxis={"title": {"text": "error ÷ best possible"}, **log_axis(1.0, max(*ratios, found.sweep / least))},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"})
    return figure
