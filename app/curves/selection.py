"""Selection of points and published numbers for a view, and their series."""

from __future__ import annotations

from collections.abc import Sequence

from app.curves.controls import Form
from app.curves.lists import BUDGETS
from app.shared import numbers
from app.shared.charts.shapes import MEASURES
from app.shared.sweeps.points import Point
from app.shared.sweeps.published import Published, published_for
from app.shared.sweeps.series import Series, by_kind, counted, left, series_of
from app.shared.sweeps.stored import with_measurements
from core.spec import make_method, parse_pattern
from core.spec.patterns import pattern_word


def chosen(form: Form, points: Sequence[Point]) -> list[Point]:
    """The points of a view: its methods, its pattern, and default parameters but for what it varies. The first of two equal runs."""
    tab, lists = form.asked.tab, form.asked.lists
    kinds = {parse_pattern(word).kind for word in lists["patterns"]}
    found: dict[object, Point] = {}
    for point in points:
        spec, pattern = point.spec, point.spec.pattern
        fits = spec.method.name in lists["methods"] and (
            pattern.kind in kinds if tab in ("sparsity", "shapes") else pattern_word(pattern) == lists["patterns"][0])
        plain = tab == "alpha" or pattern.outlier_rows == 0
        if fits and plain and (point.usual or (tab == "blocks" and _usual_but_block(point))):
            found.setdefault((point.asked, point.machine if tab == "time" else ""), point)
    return list(found.values())


def _usual_but_block(point: Point) -> bool:
    method = point.spec.method
    return method.model_copy(update={"block_size": None}) == make_method(method.name, block_size=None)


def series_for(form: Form, points: Sequence[Point]) -> tuple[tuple[Series, ...], str]:
    """The curves of a view, and what was left out of it, in words."""
    tab = form.asked.tab
    if tab == "sparsity":
        return series_of(points, counted), ""
    if tab == "blocks":
        return series_of(points, lambda point: float(point.spec.method.own_block_size or 0)), ""
    if tab == "alpha":
        return _alpha_series(form, points), ""
    if tab == "shapes":
        return _shape_series(form, points)
    machines: dict[str, list[Point]] = {}
    for point in points:
        machines.setdefault(point.machine, []).append(point)
    best = max(machines, key=lambda name: (len({point.spec.method.name for point in machines[name]}), len(machines[name])), default="")
    rest = len(points) - len(machines.get(best, []))
    left = (f"Only runs on the same device with the same number of threads are compared: here {best}. "
            + (f"{numbers.plural(rest, 'point')} computed elsewhere left out: {', '.join(name for name in machines if name != best)}. "
               if rest else "") + "Times are wall time on a machine that may have done other work too.")
    return series_of(machines.get(best, []), lambda point: point.solve_seconds), left if machines else ""


def _shape_series(form: Form, points: Sequence[Point]) -> tuple[tuple[Series, ...], str]:
    """One series a kind of pattern and method; over speed those whose speed was measured on one device."""
    over = form.asked.over
    if over == "parameters":
        return by_kind(points, left), ""
    places: dict[tuple[str, int], list[Point]] = {}
    for point in with_measurements(points):
        if point.worth is not None:
            places.setdefault((point.worth.device, point.worth.batch), []).append(point)
    (device, batch), there = max(places.items(), key=lambda entry: len(entry[1]), default=(("", 0), list[Point]()))
    rest = len(points) - len(there)
    words = [f"Measured on {device}, batch {batch}, beside the dense model in turn." if there else "",
             f"{numbers.plural(rest, 'point')} without a measured speed there left out."
             if rest else ""]
    return by_kind(there, MEASURES[over]), " ".join(filter(None, words))


def _alpha_series(form: Form, points: Sequence[Point]) -> tuple[Series, ...]:
    """One series a method and budget. Without outlier rows there is one budget: that point belongs to both."""
    has_budget = parse_pattern(form.asked.lists["patterns"][0]).has_budget
    budgets = {"": None} if not has_budget else {BUDGETS[name]: name for name in form.asked.lists["budgets"]}
    found: list[Series] = []
    for label, budget in budgets.items():
        mine = [point for point in points if budget is None or not point.spec.pattern.outlier_rows
                or point.spec.pattern.budget == budget]
        found += series_of(mine, lambda point: point.spec.pattern.outlier_rows, label)
    return tuple(found)


def published_in(form: Form, points: Sequence[Point]) -> tuple[Published, ...]:
    """The paper's numbers for this view, where model and protocol agree."""
    patterns = form.asked.lists["patterns"]
    if form.asked.tab == "shapes":
        return ()
    kind = parse_pattern(patterns[0]).kind
    mine = [number for number in published_for(points) if number.method in form.asked.lists["methods"]]
    if form.asked.tab == "sparsity":
        return tuple(number for number in mine if number.pattern.kind == kind and number.block_size is None)
    return tuple(number for number in mine if number.block_size is not None and pattern_word(number.pattern) == patterns[0])
