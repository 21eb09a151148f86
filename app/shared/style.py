"""Style of the charts: the only place for colors, dashes and markers, and the light and dark template.

Color is never alone: each method has its dash and marker, each module its marker. Method colors are Okabe and Ito's; module
colors are Paul Tol's 'bright' scheme, so that a module is not mistaken for a method.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

Theme = Literal["light", "dark"]
FONT = '"Source Sans", "Source Sans 3", system-ui, sans-serif'
OUTLIER_ROWS = "#F0A202"
KEPT, REMOVED = {"light": "#E3E0D7", "dark": "#333B42"}, {"light": "#4F5A63", "dark": "#B9BBB5"}  # a mask's two grays, by theme
ONLY_A, ONLY_B = "#0072B2", "#D55E00"  # where two masks differ
MAGNITUDES: dict[Theme, list[str]] = {  # from the page's own color to what stands out from it, evenly in lightness
    "light": ["#F1EEE3", "#BDD0D3", "#7FAABA", "#447F99", "#1F5673", "#0B3049"],
    "dark": ["#23292E", "#2A4A5B", "#35708A", "#5898B2", "#97C4D5", "#E6F3F7"],
}
CIVIDIS = ["#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838"]
_AROUND: dict[Theme, tuple[str, str, str]] = {"light": ("#B3402A", "#F7F4EC", "#1F5F8A"), "dark": ("#E8836C", "#22282E", "#6FB4E0")}
OPTIMUM = "best possible for the same mask"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Appearance of one series."""

    color: str
    symbol: str
    dash: str = "solid"

    @property
    def hollow(self) -> str:
        """The symbol of the optimum: the same, empty."""
        return f"{self.symbol}-open"


METHOD_MARKS: dict[str, Mark] = {
    "magnitude": Mark(color="#999999", symbol="square"),
    "wanda": Mark(color="#56B4E9", symbol="circle", dash="dash"),
    "sparsegpt": Mark(color="#E69F00", symbol="diamond", dash="dashdot"),
    "thanos": Mark(color="#CC79A7", symbol="triangle-up"),
    "admm1": Mark(color="#009E73", symbol="cross", dash="dash"),
    "admm-grad": Mark(color="#009E73", symbol="cross", dash="dot"),
    "obc": Mark(color="#0072B2", symbol="star", dash="dot"),
    "adaprune": Mark(color="#8C6D31", symbol="triangle-down"),
    "dsnot": Mark(color="#7F7F7F", symbol="x", dash="dot"),
    "alps": Mark(color="#6F63C9", symbol="pentagon", dash="longdash"),
    "frontier": Mark(color="#D55E00", symbol="hexagon"),
    "influence": Mark(color="#2F7F86", symbol="square", dash="dot"),
    "angular": Mark(color="#6A4C93", symbol="diamond", dash="longdash"),
    "left-out": Mark(color="#1F6FB4", symbol="triangle-up", dash="dashdot"),
    "taylor": Mark(color="#A0522D", symbol="star", dash="dash"),
}
_MODULES = (("#4477AA", "circle"), ("#EE6677", "square"), ("#228833", "diamond"), ("#AA3377", "triangle-up"),
            ("#CC8B1C", "triangle-down"), ("#3FA7C8", "pentagon"), ("#A08B73", "star"), ("#9B6FD0", "hexagon"))
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GLYPHS = {"square": "■", "circle": "●", "diamond": "◆", "triangle-up": "▲", "triangle-down": "▼", "cross": "✚", "star": "★",
          "x": "✖", "hexagon": "⬢", "pentagon": "⬟", "circle-x": "⊗"}  # the markers, in text


@dataclass(frozen=True, kw_only=True)
class Ink:
    """The colors of a theme that charts need."""

    text: str
    faint: str
    grid: str
    paper: str


INKS: dict[Theme, Ink] = {
    "light": Ink(text="#23303B", faint="#5F6B75", grid="#E3E1DA", paper="#FDFCF9"),
    "dark": Ink(text="#E4E1D8", faint="#A3A79F", grid="#333A40", paper="#171B1F"),
}


def around_zero(theme: Theme) -> list[list[object]]:
    """A diverging scale: red below zero, paper at zero, blue above."""
    low, middle, high = _AROUND[theme]
    return [[0.0, low], [0.5, middle], [1.0, high]]


def dense_mark(theme: Theme) -> Mark:
    """The dense model: black, or what black is on a dark page."""
    return Mark(color="#000000" if theme == "light" else "#FFFFFF", symbol="line-ew")


def method_mark(name: str) -> Mark:
    """The mark of a method; one that has none yet is drawn in the color of 'dsnot', as a hollow mark's partner."""
    return METHOD_MARKS.get(name, Mark(color="#7F7F7F", symbol="circle-x"))


def run_marks(methods: Sequence[str]) -> list[Mark]:
    """A mark for each run of a comparison: its method's; a color, marker or dash that is taken is replaced by the next that is free, so
    that runs of one method differ in all three."""
    marks: list[Mark] = []
    for method in methods:
        own = method_mark(method)
        symbols = [own.symbol, *(symbol for _, symbol in _MODULES)]
        dashes = [own.dash, *_DASHES]
        symbol = next((symbol for symbol in symbols if all(symbol != mark.symbol for mark in marks)), own.symbol)
        color = next((color for color in (own.color, *_shades(own.color)) if all(color != mark.color for mark in marks)), own.color)
        dash = next((dash for dash in dashes if all(dash != mark.dash for mark, name in zip(marks, methods, strict=False)
                                                    if method_mark(name).color == own.color)), own.dash)
        marks.append(Mark(color=color, symbol=symbol, dash=dash))
    return marks


def _shades(color: str) -> list[str]:
    """The color darker and lighter, by turns: first far off, then nearer, and last those that are faint on a dark or a light page."""
    def mixed(other: int, share: float) -> str:
        return "#" + "".join(f"{round((1 - share) * int(color[at:at + 2], 16) + share * other):02X}" for at in (1, 3, 5))

    return [mixed(other, share) for share in (0.32, 0.16, 0.5) for other in (0, 255)]


def module_marks(modules: Iterable[str]) -> dict[str, Mark]:
    """A mark for each module, by its place in the block. Beyond eight, colors come again with another marker."""
    marks: dict[str, Mark] = {}
    for place, module in enumerate(dict.fromkeys(modules)):
        color, _ = _MODULES[place % len(_MODULES)]
        _, symbol = _MODULES[(place + place // len(_MODULES)) % len(_MODULES)]
        marks[module] = Mark(color=color, symbol=symbol)
    return marks


def template(theme: Theme) -> go.layout.Template:
    """Quiet axes, no frame, horizontal grid only, numbers as plain text. The paper is the page's: a PNG of a dark chart is dark too."""
    ink = INKS[theme]
    axis: dict[str, Any] = {
        "showline": True, "linecolor": ink.faint, "linewidth": 1, "ticks": "outside", "ticklen": 4, "tickcolor": ink.faint,
        "tickfont": {"color": ink.text, "size": 13}, "title": {"font": {"color": ink.text, "size": 13}, "standoff": 10},
        "gridcolor": ink.grid, "zeroline": False, "automargin": True,
    }
    return go.layout.Template(layout={
        "font": {"family": FONT, "size": 13, "color": ink.text},
        "paper_bgcolor": ink.paper, "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "showgrid": False}, "yaxis": axis,
        "legend": {"font": {"color": ink.text, "size": 13}, "itemsizing": "constant", "tracegroupgap": 0},
        "hoverlabel": {"font": {"family": FONT, "size": 13, "color": ink.text}, "bgcolor": ink.paper, "bordercolor": ink.faint,
                       "align": "left"},
        "title": {"font": {"size": 16, "color": ink.text}, "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 2}},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": ink.faint, "activecolor": ink.text},
    })


def readable(colors: Sequence[str], share: float) -> str:
    """Black or white, whichever has the greater contrast ratio (WCAG) on the color at `share`, 0 to 1, of a scale of `#rrggbb`."""
    place = min(max(share, 0.0), 1.0) * (len(colors) - 1)
    before, after = colors[math.floor(place)], colors[math.ceil(place)]
    mixed = (int(before[at : at + 2], 16) * (1 - place % 1) + int(after[at : at + 2], 16) * (place % 1) for at in (1, 3, 5))
    red, green, blue = (part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in mixed)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (light + 0.05) ** 2 > 1.05 * 0.05 else "#FFFFFF"


def chart_config(name: str) -> dict[str, Any]:
    """The chart's own menu: save as PNG (twice the size, for slides), and reset after zooming."""
    return {
        "displaylogo": False, "displayModeBar": "hover", "scrollZoom": False,
        "modeBarButtonsToRemove": ["zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
        "toImageButtonOptions": {"format": "png", "filename": name, "scale": 2},
    }
