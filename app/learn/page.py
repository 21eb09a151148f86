"""The Learn page: which stop is drawn."""

from __future__ import annotations

from collections.abc import Callable

from app.learn import controls, frame, query
from app.learn.query import Lesson
from app.learn.stops import convergence, formulas, masks, one_weight, outlier_rows, shapes, start, steps, teacher, two_weights
from app.shared import layout, state

_STOPS: dict[int, tuple[str, Callable[[Lesson], None]]] = {
    0: ("How is a network pruned in one shot?", start.draw),
    1: ("What does it cost to remove one weight?", one_weight.draw),
    2: ("Do the costs of two weights add up?", two_weights.draw),
    3: ("How are many weights removed?", steps.draw),
    4: ("Is it the mask or the update?", masks.draw),
    5: ("Which formula is right?", formulas.draw),
    6: ("How fast is the optimum reached?", convergence.draw),
    7: ("What do a few strong rows do?", outlier_rows.draw),
    8: ("How can this be taught?", teacher.draw),
    9: ("Zeros, or shapes that really shrink?", shapes.draw),
}


def draw() -> None:
    """Draw the whole page, from its link."""
    notes = query.arrive()
    lesson = query.read()
    if not state.recall("playing", False):
        query.write(lesson)  # before the answer is waited for: a page that is loaded again meanwhile shows what was pressed last
    question, stop = _STOPS[lesson.stop]
    frame.begin(question, lesson)
    layout.link_notes(notes, on_dismiss=query.dismiss)
    controls.draw_matrix(lesson)
    stop(lesson)
