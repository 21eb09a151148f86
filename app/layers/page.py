"""The Layers page: the map of all layers, and what every method leaves in the one that was chosen."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import streamlit as st

from app.layers import details
from app.layers.charts.layer_map import MEASURES, Measure, layer_map
from app.layers.charts.method_bars import Bar, method_bars
from app.layers.findings import layer_finding, map_finding
from app.layers.questions import AT_ONCE, LayerQuestion, Methods, MethodsQuestion
from app.shared import address, answers, layer_choice, layout, numbers, previews, state, tables
from app.shared.chart_downloads import take_away
from app.shared.findings import wording
from app.shared.first_paint import first_paint
from app.shared.layer_choice import Map
from app.shared.link import shortened
from app.shared.style import chart_config
from app.workers.questions import Question
from core.records import LayerRecord
from core.spec import METHOD_LABELS, METHODS, RunSpec

_PROMISE = ("Here you will see the error of every layer as a map, and for the layer you choose what each method leaves in it: "
            "how much its mask costs at best, and how much the method adds to that.")
_HEIGHT = 372
_WAIT = 1.0  # seconds for the layer's own answer: drawn without it, the page would take longer than it does to come
_TOGETHER = 1.2  # seconds in which the others' answers are gathered before the page is drawn anew
_SETTLED = 0.6  # seconds that the controls must have been left alone before all layers are solved: one layer answers first
_QUICK_SECONDS = 5.0
_AT_MOST = 600.0  # seconds: what takes longer is not offered
_QUICK = ("magnitude", "wanda", "sparsegpt", "thanos", "dsnot", "admm1", "admm-grad")
_SLOWER = tuple(name for name in METHODS if name not in _QUICK)
_ORDER = sorted(METHODS, key=lambda name: name == "obc")  # the slowest last


def draw(spec: RunSpec) -> None:
    """The answer of the page."""
    measure = _measure()
    known = layer_choice.finished(spec)
    found = layer_choice.shapes(spec, known)
    if not found:
        layout.sentence(_PROMISE)
        return
    layer = layer_choice.wanted(found)
    preview = previews.first(spec)
    asked = st.container(gap=None)  # what looks again takes no room: the page does not move when the answers are there
    with asked:
        settled = _settled(spec)
        for place in () if settled else ("quick", *_SLOWER, "preview"):
            answers.before(place)  # what these compute leaves its cores to the layer's own answer
        one = layer_choice.with_own_share(spec, known or _map_before(spec), layer)
        present = answers.ask(LayerQuestion(spec=one, layer=layer), "layer", wait=_WAIT) if layer else None
        others = _ask({**(_others(_base(one), layer) if layer else {}), **({} if known else {"preview": preview})}, settled)
        seen = None if known else previews.best(spec, others.pop("preview"))
    known = _map(spec, seen, settled=settled) if seen else known
    worst = layer_choice.worst_of(known)
    if not layer:
        if not worst:
            layout.sentence(_PROMISE)
            return
        layer = worst
    own = layer_choice.with_own_share(spec, known if known and known.fits else _map_before(spec), layer)
    if present is None or own != one:
        one = own
        with asked:
            present = answers.ask(LayerQuestion(spec=one, layer=layer), "layer", wait=_WAIT)
            others = _ask(_others(_base(one), layer), settled)
    layer_choice.settle(layer, worst if known and known.fits else "")
    record: LayerRecord | None = present.answer if present.answer is not None and present.answer.name == layer else None
    shown = list(others.values())
    bars = _bars(spec, layer, record, present, shown)
    layout.heading(wording.describe(spec), wording.describe_rest(spec), known.origin if known else "")
    of_layer = layer_finding(bars, weighed=bool(spec.fisher), shared=one != spec)
    said = " ".join(filter(None, (map_finding(known.layers) if known and known.fits else "", of_layer)))
    if said:
        layout.sentence(said)
    trouble = next((item for item in (present, *shown) if item.lost or (item is present and item.problem)), None)
    if trouble and not (seen and seen.problem == trouble.problem):
        answers.tell(trouble, "")
    with st.container(horizontal=True, gap="medium"):
        with st.container(key="side-map"):
            if known is None and seen is not None and seen.problem:
                layout.sentence("The map of all layers stands here when each of them can be solved.")
            else:
                _draw_map(known, layer, measure)
        with st.container(key="side-bars"):
            _draw_layer(_base(one), bars, layer, shown, found)
    details.draw(one, layer, record, known, told=trouble.problem if trouble else None)


def _measure() -> Measure:
    word = address.word("measure", "error")
    for measure in MEASURES:
        if measure == word:
            return measure
    address.refuse("measure", f"measure: {shortened(word)} cannot be used. Allowed: {', '.join(MEASURES)}. Used instead: error.")
    return "error"


def _ask(questions: Mapping[str, Question], settled: bool) -> dict[str, answers.Shown]:
    """Ask for the answer of each place; nothing is asked anew before the controls settle. A page that shows something waits for more."""
    wait = 0.1 if state.recall("layers-map", None) is None else _TOGETHER
    return answers.together(questions, wait=wait) if settled else {place: answers.before(place) for place in questions}


def _base(spec: RunSpec) -> RunSpec:
    """Base spec of the other methods: the same zeros and output weights."""
    return layer_choice.same_layers(spec).model_copy(update={"pattern": spec.pattern, "fisher": spec.fisher})


def _others(base: RunSpec, layer: str) -> dict[str, Question]:
    """Errors of the other methods: the quick ones in one question, each of the others by itself."""
    most = _AT_MOST if state.recall("layers-slow", None) == (base, layer) else AT_ONCE
    return {"quick": MethodsQuestion(spec=base, layer=layer, methods=_QUICK, seconds=_QUICK_SECONDS),
            **{name: MethodsQuestion(spec=base, layer=layer, methods=(name,), seconds=most) for name in _SLOWER}}


def _settled(spec: RunSpec) -> bool:
    """True if the controls have been left alone for a while; if not, the page looks again by itself."""
    here = st.container()
    before, since = state.recall("layers-since", (None, 0.0))
    if before != spec:
        since = time.time() if before is not None else 0.0
        state.remember("layers-since", (spec, since))
    if time.time() - since >= _SETTLED:
        return True
    with here:
        st.fragment(_look_again, run_every=_SETTLED)()
    return False


def _map_before(spec: RunSpec) -> Map | None:
    """The map that was drawn last, if it is this spec's."""
    return state.recall("layers-map", None) if state.recall("layers-map-of", None) == spec else None


def _map(spec: RunSpec, shown: answers.Shown, *, settled: bool) -> Map | None:
    """The map of the preview once the controls have settled; until then the one before, a finished run's perhaps."""
    old: Map | None = state.recall("layers-map", None)
    if old is not None and not settled:
        return Map(layers=old.layers, origin=old.origin, calibration=old.calibration, fits=False)
    known = layer_choice.previewed(shown)
    state.remember("layers-map", known)
    state.remember("layers-map-of", spec if known and known.fits else None)
    return known


def _look_again() -> None:
    if time.time() - state.recall("layers-since", (None, 0.0))[1] >= _SETTLED:
        st.rerun()


def _draw_map(known: Map | None, layer: str, measure: Measure) -> None:
    state.set_widget("layers_measure", measure)
    st.segmented_control("Colour", list(MEASURES), key="layers_measure", format_func=MEASURES.__getitem__, required=True,
                         label_visibility="collapsed", on_change=_measure_changed)
    if known is None or first_paint():
        st.container(height=_HEIGHT, border=False)
        return
    state.remember("layers-cells", [item.name for item in known.layers])
    with st.container(key="map" if known.fits else "old-answer-map"):
        st.plotly_chart(
            layer_map(known.layers, measure=measure, chosen=layer, calibration=known.calibration, theme=layout.theme(), height=_HEIGHT),
            theme=None, key="layers-map", config=chart_config("layers"), on_select=_pressed, selection_mode="points",
            alt=f"A map of {numbers.plural(len(known.layers), 'layer')}. {map_finding(known.layers)}")
        take_away("layers", partial(tables.layer_rows, known.layers), (known.origin, f"calibration: {known.calibration}"))


def _measure_changed() -> None:
    measure = state.widget("layers_measure")
    address.set_word("measure", "" if measure == "error" else measure)


def _pressed() -> None:
    """Look into the layer that was pressed. Pressed again, a point is given free by the browser: it is still that layer."""
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget("layers-map") or {}
    names = [point.get("customdata") for point in chart.get("selection", {}).get("points", ())]
    name = names[0] if names else state.recall("layers-pressed", "")
    name = str(name[0]) if isinstance(name, list) and name else name
    if isinstance(name, str) and name in state.recall("layers-cells", []):
        state.remember("layers-pressed", name)
        layer_choice.choose(name)


def _draw_layer(base: RunSpec, bars: Sequence[Bar], layer: str, shown: Sequence[answers.Shown], found: Collection[str]) -> None:
    layer_choice.draw_select("layers_layer", found, layer)
    if all(bar.missing for bar in bars):
        layout.sentence("What every method leaves in this layer stands here when there is an answer.")
        return
    if first_paint():
        st.container(height=_HEIGHT, border=False)
        return
    st.plotly_chart(method_bars(bars, theme=layout.theme(), height=_HEIGHT), theme=None, key="layers-methods", config=chart_config(layer),
                    alt=f"Error of every method in {layer}. {layer_finding(bars)}")
    take_away("layer-methods", partial(_rows, bars), (f"{layer}, every method alone, from the dense model's Gram matrices",
                                                      base.pattern.model_dump_json()))
    waiting = {name: seconds for item in shown if item.fits for name, seconds in item.answer.slow.items()}
    offered = {name: seconds for name, seconds in waiting.items() if seconds <= _AT_MOST}
    if offered and state.recall("layers-slow", None) != (base, layer):
        label = wording.listed([METHOD_LABELS[name] for name in offered])
        st.button(f"Solve it with {label} too: about {numbers.seconds(sum(offered.values()))}", key="layers_slow", type="tertiary",
                  on_click=state.remember, args=("layers-slow", (base, layer)))
    failed = {name: why for item in shown if item.fits for name, why in item.answer.failed.items()}
    remarks = [f"{METHOD_LABELS[name]}: {why}" for name, why in failed.items()]
    remarks += [f"{METHOD_LABELS[name]} would take {numbers.seconds(seconds)}." for name, seconds in waiting.items() if name not in offered]
    if remarks:
        layout.aside("Not shown. " + " ".join(remarks))


def _bars(spec: RunSpec, layer: str, record: LayerRecord | None, mine: answers.Shown, shown: Sequence[answers.Shown]) -> list[Bar]:
    """One bar a method: the present one as the controls ask, the others with their defaults; what is not known yet keeps its place."""
    to_come = any(item.waiting for item in shown)
    found: dict[str, tuple[LayerRecord, bool]] = {}
    left_out: set[str] = set()
    for item in shown:
        answer: Methods | None = item.answer
        if answer is not None:
            found |= {name: (known, not item.fits) for name, known in answer.records.items() if known.name == layer}
            left_out |= set(answer.failed) | set(answer.slow)
    found.pop(spec.method.name, None)  # with its defaults
    if record is not None:
        found[spec.method.name] = (record, not mine.fits)
    bars: list[Bar] = []
    for name in _ORDER:
        present = name == spec.method.name
        label = _label(spec) if present else METHOD_LABELS[name]
        if name in found or present or name not in left_out:
            known, stale = found.get(name, (None, False))
            missing = (known is None or stale) and not (mine.waiting if present else to_come)
            bars.append(Bar(method=name, label=label, record=known, present=present, stale=stale, missing=missing))
    return bars


def _label(spec: RunSpec) -> str:
    return METHOD_LABELS[spec.method.name] + (" with refit" if spec.refit else "")


def _rows(bars: Sequence[Bar]) -> list[dict[str, object]]:
    return [{"method": bar.method, **row} for bar in bars if bar.record is not None and not bar.stale
            for row in tables.layer_rows([bar.record])]
