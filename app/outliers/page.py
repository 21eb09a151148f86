"""The page of outlier rows: the map of all layers, one layer's rows with the cut that α makes, and what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st
from pydantic import ValidationError

from app.outliers import charts, findings
from app.shared import address, alpha_effect, answers, layer_choice, layout, numbers, state
from app.shared.chart_downloads import take_away
from app.shared.questions.outliers import EnergySharesQuestion, LayerRowsQuestion
from app.shared.style import chart_config
from cache.keys import PRUNING
from core.records.outlier_rows import EnergyShare, LayerRows
from core.spec import RunSpec
from core.spec.alphas import alpha_for, row_choices, with_alpha
from core.spec.errors import input_errors
from core.spec.patterns import outlier_count

_SHOWN = 0.1  # the share of rows that the map is about while α is 0
_CHART = 236


def draw(spec: RunSpec | None) -> None:
    """Everything below the frame. Without a spec that can be used, the last one that could, dimmed."""
    good = spec or state.recall("outliers_spec", None)
    if good is None:
        return
    state.remember("outliers_spec", good)
    with st.container(key="outliers" if spec else "old-answer", gap="small"):
        _draw(good)


def _draw(spec: RunSpec) -> None:
    alpha = spec.pattern.outlier_rows or _SHOWN
    plain = RunSpec(**{name: value for name, value in spec if name not in PRUNING})
    found = answers.ask(EnergySharesQuestion(spec=plain, alpha=alpha), "energy-shares")
    answers.tell(found, "Reading the model and its calibration text")
    shares: Sequence[EnergyShare] | None = found.answer
    if not shares:
        layout.sentence("Here you will see in which layers a few rows hold most of the energy, which rows α keeps dense and which columns "
                        "may then go, and what that does to each layer's error and to perplexity, beside as many random rows.")
        return
    layer = _chosen(shares)
    rows = answers.ask(LayerRowsQuestion(spec=spec, layer=layer), "outlier-layer")
    weighed = f" Outputs are weighed as the loss feels them (Fisher weighting {spec.fisher:g})." if spec.fisher else ""
    layout.sentence(_finding(shares, alpha, rows) + weighed)
    left, right = st.columns([0.42, 0.58], gap="medium")
    with left:
        _draw_map(spec, shares, layer, alpha)
    with right:
        _draw_rows(spec, shares, layer, rows)
    alpha_effect.draw(spec, layer)
    if not rows.problem:
        _draw_details(spec, rows.answer if rows.fits else None)


def _chosen(shares: Sequence[EnergyShare]) -> str:
    """The layer of the link, or the one whose strongest rows hold most; a name that is not there is told."""
    word, names = address.word("layer"), [item.name for item in shares]
    if word in names:
        return word
    usual = max(shares, key=lambda item: item.share).name
    if word:
        layer_choice.refuse(word, names, usual)
    return usual


def _finding(shares: Sequence[EnergyShare], alpha: float, rows: answers.Shown) -> str:
    text = findings.map_finding(shares, alpha)
    return text if not rows.fits else f"{text} {findings.layer_finding(rows.answer, _name(shares, rows.answer.name))}"


def _name(shares: Sequence[EnergyShare], name: str) -> str:
    item = next(item for item in shares if item.name == name)
    return findings.layer_name(item.block, item.module)


def _draw_map(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, alpha: float) -> None:
    layout.heading(f"Energy in the strongest {findings.share_word(alpha)} of rows", "click a cell")
    st.plotly_chart(charts.energy_map(shares, layer, theme=layout.theme(), height=_CHART), theme=None, key="energy-map",
                    config=chart_config("energy-map"), on_select=_clicked, selection_mode="points",
                    alt=f"Share of the energy in the strongest rows, block by module. {findings.map_finding(shares, alpha)}")
    take_away("outlier-map", partial(charts.share_rows, shares),
              (spec.model, f"energy of the strongest rows, α = {alpha:g}, from the dense model's Gram matrices"))
    state.set_widget("outlier-layer", layer)
    st.selectbox("Layer", [item.name for item in shares], key="outlier-layer", on_change=_selected, label_visibility="collapsed")


def _clicked() -> None:
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget("energy-map") or {}
    name = next((point.get("customdata") for point in chart.get("selection", {}).get("points", ())), None)
    if isinstance(name, str | list) and name:
        address.set_word("layer", name if isinstance(name, str) else str(name[0]))


def _selected() -> None:
    address.set_word("layer", str(state.widget("outlier-layer")))


def _draw_rows(spec: RunSpec, shares: Sequence[EnergyShare], layer: str, rows: answers.Shown) -> None:
    item = next(item for item in shares if item.name == layer)
    name = _name(shares, layer)
    layout.heading(f"Rows of {name}, by energy", f"{numbers.count(item.rows)} rows, the strongest first")
    view: LayerRows | None = rows.answer
    if rows.problem:
        answers.tell(rows, "Solving this layer")
    if view is None and rows.problem:
        return
    with st.container(key="outlier-rows" if rows.fits else "old-outlier-rows", height=_CHART, border=False):
        if view is not None:
            st.plotly_chart(charts.sorted_rows(view, theme=layout.theme(), height=_CHART), theme=None, key="sorted-rows",
                            config=chart_config("rows-by-energy"), alt=findings.layer_finding(view, name),
                            on_select=partial(_pressed, spec, item.rows), selection_mode="points")
    _draw_cut(spec, item)
    if view is not None:
        take_away("outlier-rows", partial(charts.row_rows, view),
                  (spec.title, f"α = {spec.pattern.outlier_rows:g}", view.name, f"{view.tokens} calibration tokens"))


def _draw_cut(spec: RunSpec, item: EnergyShare) -> None:
    """α in whole rows of this layer, under its axis. Where the pattern has no such α the nearest is taken, and told."""
    count = outlier_count(item.rows, spec.pattern.outlier_rows)
    state.set_widget("outlier-cut", count)
    with st.container(key="outlier-cut-row"):
        st.slider("Rows that stay dense", 0, item.rows, key="outlier-cut", label_visibility="collapsed", on_change=_moved,
                  args=(spec, item.rows), format=f"%d of {item.rows} rows",
                  help="The same α as on the left, in whole rows of this layer. The other layers keep the same share of theirs.")
    told = state.recall("cut-told", "")
    if told:
        layout.aside(told)
    state.forget("cut-told")


def _pressed(spec: RunSpec, rows: int) -> None:
    """Cut behind the row that was pressed. Pressed again, a point is given free by the browser: the cut stays."""
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget("sorted-rows") or {}
    wanted = next((point.get("customdata") for point in chart.get("selection", {}).get("points", ())), None)
    wanted = wanted[0] if isinstance(wanted, list) and wanted else wanted
    if isinstance(wanted, int | float):
        _cut_at(spec, rows, max(0, min(int(wanted), rows)))


def _moved(spec: RunSpec, rows: int) -> None:
    _cut_at(spec, rows, int(state.widget("outlier-cut")))


def _cut_at(spec: RunSpec, rows: int, wanted: int) -> None:
    """The α that keeps so many rows of this layer, or the nearest that the pattern allows."""
    choices = row_choices(spec.pattern, rows)
    count = min(choices, key=lambda choice: (abs(choice - wanted), choice))
    alpha = alpha_for(spec.pattern, rows, count)
    state.set_widget("alpha", alpha)
    if count != wanted:
        state.remember("cut-told", f"{numbers.plural(wanted, 'row')} cannot stay here, so the nearest count is taken: {count}. "
                       f"{_why(spec, rows, wanted)}")


def _why(spec: RunSpec, rows: int, wanted: int) -> str:
    """Limit that the pattern sets to the share of rows that was wanted."""
    try:
        with_alpha(spec.pattern, min(wanted / rows, 0.9999))
    except ValidationError as error:
        return str(input_errors(error)[0])
    return ""


def _draw_details(spec: RunSpec, view: LayerRows | None) -> None:
    columns, which, measured = st.tabs(["Which columns go", "Which rows stay", "How it was measured"], key="outlier-details",
                                       on_change="rerun")
    if columns.open:
        with columns:
            _draw_columns(view)
    if which.open and view is not None:
        with which:
            stay = ", ".join(map(str, view.dense_rows)) or "none"
            layout.facts([
                ("Rows that stay dense", stay),
                ("Layer error", f"{numbers.error(view.error)} at {numbers.percent(view.counted_sparsity)} counted sparsity; "
                 f"without outlier rows {numbers.error(view.error_without)} at {numbers.percent(view.counted_without)}")])
    if measured.open:
        with measured:
            layout.facts(alpha_effect.facts(spec))


def _draw_columns(view: LayerRows | None) -> None:
    if view is None:
        return
    if view.columns is None:
        layout.sentence("This pattern takes single weights, not whole columns. Choose the pattern “columns” on the left to see which "
                        "columns go, and how the rows that stay decide it.")
        return
    layout.sentence(findings.column_finding(view))
    st.plotly_chart(charts.column_losses(view, theme=layout.theme()), theme=None, key="column-losses",
                    config=chart_config("columns-by-loss"), alt=findings.column_finding(view))
    take_away("outlier-columns", partial(charts.column_rows, view),
              (view.name, "v_j = Σ W_ij²·G_jj over the rows that are pruned, each as often as it counts"))
