"""The Learn page: which stop is drawn."""

from __future__ import annotations

from collections.abc import Callable

from app.ui import (
    layout,
    learn,
    learn_convergence,
    learn_masks,
    learn_removals,
    learn_rows,
    learn_start,
    learn_steps,
    learn_teacher,
    lesson_words,
    state,
)
from app.ui.lesson_words import Lesson

_STOPS: dict[int, tuple[str, Callable[[Lesson], None]]] = {
    0: ("How is a network pruned in one shot?", learn_start.draw),
    1: ("What does it cost to remove one weight?", learn_removals.draw_one),
    2: ("Do the costs of two weights add up?", learn_removals.draw_two),
    3: ("How do many weights go?", learn_steps.draw),
    4: ("Is it the mask or the update?", learn_masks.draw_masks),
    5: ("Which formula is right?", learn_masks.draw_formulas),
    6: ("How fast is the optimum reached?", learn_convergence.draw),
    7: ("What do a few strong rows do?", learn_rows.draw),
    8: ("How can this be taught?", learn_teacher.draw),
}


def draw() -> None:
    """The whole page, from its link."""
    notes = lesson_words.arrive()
    lesson = lesson_words.read()
    if not state.recall("playing", False):
        lesson_words.write(lesson)  # before the answer is waited for: a page that is loaded again meanwhile shows what was pressed last
    question, stop = _STOPS[lesson.stop]
    learn.begin(question, lesson)
    layout.link_notes(notes, on_dismiss=lesson_words.dismiss)
    learn.draw_matrix(lesson)
    stop(lesson)
