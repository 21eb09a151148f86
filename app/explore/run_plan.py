"""Before a run: which layers would be pruned, how long it may take and how much memory it needs. And the button that starts it."""

from __future__ import annotations

import streamlit as st

from app.shared import dataframes, layout, numbers, resources, state, tables
from app.shared.findings import wording
from app.shared.layout import Figure
from app.shared.run_lookup import View
from app.shared.submission import start
from core.records import Plan
from core.spec import RunSpec

_FORMATS = {"zeros": st.column_config.NumberColumn("zeros", help="how many of them will go")}
_FORMS = {"share": numbers.fine_percent, "weights": numbers.count, "zeros": numbers.count}


def draw_button(spec: RunSpec | None, view: View) -> None:
    """The page's one primary button. It says why when it cannot be pressed."""
    done = view.record is not None and view.record.state == "finished" and not view.outdated
    queued = view.record is not None and view.record.state == "queued"
    label = ("Waiting…" if queued else "Running…" if view.active else "Computed" if done
             else "Run again" if view.record and not view.outdated else "Run")
    blocked = spec is None or view.problem or (not view.record and resources.jobs().plan(spec).refused)
    reason = ("Correct what is marked on the right first." if blocked else "The answer on the right is this run."
              if done else "It is in the queue." if queued else "It is being computed." if view.active else None)
    st.button(label, key="run_button", type="primary", width="stretch", disabled=reason is not None, help=reason,
              on_click=start, args=(spec,))


def draw_problem(spec: RunSpec | None, view: View) -> None:
    """Draw why the request cannot be run: something that it names is not there."""
    if spec is not None and not (view.answer and view.answer.fits):
        layout.heading(wording.describe(spec), wording.describe_rest(spec), view.record.state if view.record else "not computed yet")
    layout.note(view.problem or "", tone="bad", title="This cannot be run as it is.")


def draw_refusal(spec: RunSpec | None) -> None:
    """Draw why the last press of the button started nothing, while the controls still ask for the same."""
    refused = state.recall("refused", None)
    if refused is not None and refused[0] == spec:
        layout.note(refused[1], tone="bad", title="Not started.")


def draw_plan(spec: RunSpec) -> None:
    """Draw the plan of a run. Asks again until the plan is there."""
    asking = resources.jobs().plan(spec).state == "computing"
    st.fragment(_draw, run_every=0.5 if asking else None)(spec, asking)


def _draw(spec: RunSpec, asking: bool) -> None:
    planning = resources.jobs().plan(spec)
    if asking and planning.state != "computing":
        st.rerun()
    if planning.state == "failed":
        layout.note(planning.error or "", tone="bad", title="This cannot be run as it is.")
        return
    layout.heading(wording.describe(spec), wording.describe_rest(spec), "not computed yet")
    if planning.plan is None:
        layout.note("Looking up which layers will be pruned, and estimating time and memory …")
        return
    plan = planning.plan
    layout.figures(_figures(plan))
    if plan.note:
        layout.note(plan.note)
    _layers(plan)


def draw_layers(spec: RunSpec) -> None:
    """The list of layers alone, where the plan is at hand."""
    plan = resources.jobs().plan(spec).plan
    if plan is not None:
        _layers(plan)


def _layers(plan: Plan) -> None:
    if plan.shape is not None and not plan.pruned:
        return
    listed = st.expander(f"The {numbers.plural(len(plan.layers), 'layer')} that will be pruned", key="planned-layers",
                         on_change="rerun")
    if listed.open:
        listed.dataframe(dataframes.table(tables.planned_rows(plan.layers), _FORMS), hide_index=True, column_config=_FORMATS, height=280,
                         alt="The layers that will be pruned")


def _figures(plan: Plan) -> tuple[Figure, ...]:
    return (
        *(_shape_figures(plan) if plan.shape is not None else _zero_figures(plan)),
        Figure(label="Estimated time", value=f"about {numbers.seconds(plan.seconds)}",
               note=f"on {plan.device}", hover=f"Calibration: {plan.calibration}. Evaluation: {plan.evaluation}."),
        Figure(label="Estimated memory", value=numbers.size(plan.memory_bytes),
               note=f"and {numbers.size(plan.disk_bytes)} of disk", hover=_places(plan)),
    )


def _zero_figures(plan: Plan) -> tuple[Figure, ...]:
    return (
        Figure(label="Will be pruned", value=numbers.plural(len(plan.layers), "layer"),
               note=f"in {numbers.plural(plan.blocks, 'block')}, {plan.family}"),
        Figure(label="Zeros", value=numbers.count(plan.pruned),
               note=f"{numbers.percent(plan.sparsity)} of their {numbers.count(plan.prunable)} weights; "
                    f"the model has {numbers.count(plan.parameters)}"))


def _shape_figures(plan: Plan) -> tuple[Figure, ...]:
    assert plan.shape is not None, "asked for where there is one"
    return (
        Figure(label="Will be gone", value=numbers.plural(plan.shape.count, plan.shape.unit.removesuffix("s")),
               note=f"{'of' if plan.shape.unit == 'blocks' else 'of each of'} {numbers.plural(plan.blocks, 'block')}, {plan.family}"),
        Figure(label="Parameters left", value=numbers.count(plan.left),
               note=f"of {numbers.count(plan.parameters)}; {numbers.count(plan.removed)} go, and the folder is smaller"))


def _places(plan: Plan) -> str:
    """Places of weights and activations, with the bytes of each."""
    placed = plan.placement
    if placed is None:
        return ""
    return (f"{placed.words[0].upper()}{placed.words[1:]}. The model {numbers.size(placed.model_bytes)}, a block "
            f"{numbers.size(placed.block_bytes)}, outside the blocks {numbers.size(placed.frame_bytes)}, activations "
            f"{numbers.size(placed.activation_bytes)}.")
