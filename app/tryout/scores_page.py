"""Zero-shot scores of a pruned model beside the dense one's: a view of the Try it out page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape

import streamlit as st

from app.shared import address, layout, numbers, request_progress, resources, state
from app.shared.chart_downloads import take_away
from app.shared.findings import wording
from app.shared.findings.published import accuracy_sentence
from app.shared.plot import plot
from app.shared.scored_runs import draw_curve
from app.shared.style import chart_config
from app.tryout import charts, findings
from app.tryout.query import LIMITS, METRICS, Asked
from app.tryout.scores import Seen, look
from cache.scores import Scoring
from core.evaluate.embedded_task import NAME
from core.evaluate.task_names import offered_tasks
from core.records.tasks import TaskScores, average, average_difference
from core.spec import RunSpec
from core.spec.errors import PruneError

_PROMISE = ("Here you will see how often the pruned model still chooses the right answer, task by task, beside the dense model on the "
            "same examples, and whether the difference is more than chance.")
_SHIPPED = "shipped with PruneScope: computed by this code"


def draw(spec: RunSpec, asked: Asked) -> None:
    """Controls, the answer, every task, the curve over sparsity."""
    try:
        seen = look(spec, asked)
    except PruneError as error:
        layout.note(str(error), tone="bad")
        return
    _draw_controls(spec, asked, seen)
    refused = state.recall("scoring_refused", "")
    if refused:
        layout.note(refused, tone="bad")
    jobs, kept = resources.jobs().scoring, resources.store().scores
    request_progress.draw(jobs, _told(seen), failed="These scores could not be computed.", place="scoring",
                          cancelled="Canceled. Tasks that were finished are kept.", partial=lambda: len(kept.of_run(seen.key)))
    layout.heading(wording.describe(spec), wording.describe_rest(spec), _SHIPPED if seen.shipped else "")
    if not seen.tasks:
        layout.sentence(_PROMISE)
        return
    layout.sentence(findings.finding(seen.tasks, asked.metric))
    published = accuracy_sentence(spec, seen.tasks)
    if published:
        layout.aside(published)
    st.html(_table(seen.tasks, asked.metric))
    plot(charts.differences(seen.tasks, asked.metric, theme=layout.theme()), key="score-differences",
                    config=chart_config("accuracy-lost"), alt=findings.finding(seen.tasks, asked.metric))
    take_away("scores", partial(findings.score_rows, seen.tasks), tuple(f"{term}: {text}" for term, text in findings.protocol(seen.tasks)))
    _draw_details(spec, asked, seen)


def _told(seen: Seen) -> Scoring | None:
    """The scoring whose progress or failure belongs here: what failed for other tasks than those asked for is no news."""
    mine = seen.scoring is not None and (seen.scoring.active or not set(seen.scoring.tasks).isdisjoint(seen.missing))
    return seen.scoring if mine else None


def _draw_controls(spec: RunSpec, asked: Asked, seen: Seen) -> None:
    offered = tuple(dict.fromkeys((*offered_tasks(), *asked.tasks)))
    for key, value in (("tryout-tasks", list(asked.tasks)), ("tryout-limit", _limit_word(asked)), ("tryout-metric", asked.metric)):
        state.set_widget(key, value)
    with st.container(horizontal=True, vertical_alignment="bottom", key="tryout-controls"):
        st.multiselect("Tasks", offered, key="tryout-tasks", on_change=_chosen,
                       help=f"{NAME} is made from Python's documentation and needs no network. Rows of the papers' tasks are downloaded "
                       "from the hub; tasks of your own are YAML files below PRUNESCOPE_TASKS.")
        st.selectbox("Examples", list(LIMITS), key="tryout-limit", on_change=_chosen, width=110,
                     help="Fewer are quicker, and such a score cannot be compared with others.")
        st.segmented_control("Metric", list(METRICS), key="tryout-metric", on_change=_chosen, required=True,
                             help="; ".join(METRICS.values()))
        active = seen.scoring is not None and seen.scoring.active
        label = f"Score {numbers.plural(len(seen.missing), 'task')}" if seen.missing else "All scored"
        st.button(label, type="primary", key="score", disabled=active or not seen.missing, on_click=_start,
                  args=(spec, seen.missing, asked.limit))


def _limit_word(asked: Asked) -> str:
    return next(word for word, limit in LIMITS.items() if limit == asked.limit)


def _chosen() -> None:
    tasks, limit, metric = (state.widget(f"tryout-{name}") for name in ("tasks", "limit", "metric"))
    address.set_word("tasks", ",".join(tasks) if tuple(tasks) != Asked().tasks else "")
    address.set_word("limit", limit if limit != "all" else "")
    address.set_word("metric", metric if metric != "acc" else "")


def _start(spec: RunSpec, names: tuple[str, ...], limit: int | None) -> None:
    """Ask for the scores that are missing. What prevents it is shown as it is."""
    try:
        resources.jobs().scoring.submit(spec, names, limit)
        state.forget("scoring_refused")
    except PruneError as error:
        state.remember("scoring_refused", str(error))


def _table(tasks: Mapping[str, TaskScores], metric: str) -> str:
    """One row a task; several end with their mean."""
    rows = [(name, scores.dense and scores.dense.scores.get(metric), scores.scores.get(metric),
             scores.difference(metric) if metric in scores.scores else None, _chance(scores), numbers.count(scores.examples),
             findings.badge(scores)) for name, scores in tasks.items()]
    if len(tasks) > 1:
        dense = average({name: scores.dense for name, scores in tasks.items() if scores.dense}, metric)
        rows.append((f"mean of these {len(tasks)}", dense, average(tasks, metric), average_difference(tasks, metric), "", "", ""))
    head = "".join(f"<th scope='col'>{text}</th>" for text in ("Dense", "Pruned", "Dense − pruned, points", "Guessing", "Examples", ""))
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{findings.points(dense)}</td><td>{findings.points(pruned)}</td>"
        f"<td>{findings.points(change, signed=True)}</td><td>{chance}</td><td>{examples}</td><td>{escape(badge)}</td></tr>"
        for name, dense, pruned, change, chance, examples, badge in rows)
    return f"<div class='ps-wide'><table class='ps-table'><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _chance(scores: TaskScores) -> str:
    return numbers.percent(scores.chance) if scores.chance is not None else "–"


def _draw_details(spec: RunSpec, asked: Asked, seen: Seen) -> None:
    measured, curve = st.tabs(["How it was measured", "Accuracy over sparsity"], key="tryout-details", on_change="rerun")
    with measured:
        layout.facts(findings.protocol(seen.tasks))
    if curve.open:
        with curve:
            draw_curve(spec.model, asked.metric)
