"""The controls of a run, drawn from `core/spec/`; what they say becomes words, and the words become a spec (app/shared/link.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from app.shared import link, resources, state, text_choice
from app.shared.fields import Field, draw, fields_of
from core.spec import EVERY_METHOD, METHOD_LABELS, Calibration, Evaluation, RunSpec
from core.spec.flags import CALIBRATION_WORDS, EVALUATION_WORDS, RUN_WORDS
from core.spec.patterns import KINDS as PATTERNS
from core.spec.patterns import SemiStructured, Unstructured

KINDS = {kind: pattern.label for kind, pattern in PATTERNS.items()}
_P_HELP = "p: the share of the weights of each layer that goes."
_DIGITS = 12  # a slider's 57 % is 0.5700000000000001 in binary

_N, _M = fields_of(SemiStructured, {"n": "n", "m": "m"})
_ALPHA, _BUDGET = fields_of(Unstructured, {"alpha": "outlier_rows", "alpha_budget": "alpha_budget"})
_CALIBRATION = fields_of(Calibration, CALIBRATION_WORDS)
_EVALUATION = fields_of(Evaluation, EVALUATION_WORDS)
_RUN = fields_of(RunSpec, {word: word for word in RUN_WORDS if word != "model"})
_RANDOM = next(field for field in _RUN if field.word == "random_rows")  # beside α, where some rows stay dense
# fields of a run that reach beyond a method's solve of one layer
BEYOND = ("allocation", "propagation", "fisher", "reconstruct", "reconstruct_aim", "update", "refit", "experts", "skip",
          "layer_sparsity", "no_optimum")
_FLAT = (_ALPHA, _BUDGET, *_CALIBRATION, *_EVALUATION, *_RUN)


@dataclass(frozen=True, kw_only=True)
class Form:
    """Request of the controls: a spec, or what must be changed before there is one."""

    spec: RunSpec | None
    complaints: tuple[str, ...]


def fill(spec: RunSpec) -> None:
    """Set every control to a spec, before any is drawn."""
    words = link.to_words(spec)
    pattern = spec.pattern
    state.set_widget("model", spec.model)
    state.set_widget("method", spec.method.name)
    state.set_widget("pattern_kind", pattern.kind)
    state.set_widget("sparsity", round(100 * (0.5 if pattern.share is None else pattern.share), _DIGITS - 2))  # 0.57 is not 57 % in binary
    state.set_widget("n", pattern.n if pattern.kind == "semi-structured" else _N.default)
    state.set_widget("m", pattern.group or _M.default)
    state.set_widget("removed", float(pattern.amount or 1))
    for field in (*_FLAT, *_parameters(spec.method.name)):
        state.set_widget(field.word, field.read(words.get(field.word)))


def draw_controls() -> None:
    """The controls above the button: model, method, pattern, and the method's own parameters."""
    names = list(dict.fromkeys(["demo", *(model.name for model in resources.models()), state.widget("model") or "demo"]))
    st.selectbox("Model", names, key="model", accept_new_options=True, persist_state="session",
                 help="The shipped demo, a folder below PRUNESCOPE_MODELS, or type a hub id such as owner/name.")
    st.selectbox("Method", list(EVERY_METHOD), key="method", format_func=METHOD_LABELS.__getitem__, persist_state="session",
                 on_change=_method_changed, filter_mode=None, help=EVERY_METHOD[_method()].__doc__)
    st.segmented_control("Pattern: what may go", list(KINDS), key="pattern_kind", format_func=KINDS.__getitem__, required=True,
                         persist_state="session", width="stretch", on_change=_kind_changed,
                         help="Any weights of a layer; n zeros in every m consecutive inputs of a row; whole input columns; or, "
                         "after which the model is smaller, neurons of the MLPs, attention heads, or whole decoder blocks.")
    if _kind() == "semi-structured":
        _pair(_N, _M)
    elif PATTERNS[_kind()].counts:
        st.number_input(f"{KINDS[_kind()].capitalize()} that go", 0.0, 100_000.0, key="removed", step=1.0, format="%g",
                        persist_state="session", help=f"How many {KINDS[_kind()]} go{PATTERNS[_kind()].whence}; below 1 it is their share.")
    else:
        top = max(99.0, state.widget("sparsity") or 0.0)
        st.slider("Sparsity p", 0.0, top, key="sparsity", step=1.0, format="%g %%", persist_state="session",
                  help=_P_HELP)
    hidden = _hidden()
    _pair(*(field for field in (_ALPHA, _BUDGET, _RANDOM) if field not in hidden))
    _pair(*_parameters(_method()))
    state.remember("method", _method())


def draw_more() -> None:
    """The controls below the button: what goes beyond a layer; texts, windows, device."""
    with st.expander("Beyond the layer", key="beyond"):
        _pair(*(field for field in beyond(_RUN) if field not in _hidden()))
    with st.expander("Texts, windows, device", key="more"):
        for texts in (_CALIBRATION, _EVALUATION):
            text_choice.draw(texts[0])
            _pair(*texts[1:])
        several = [field for field in _RUN if field.kind == "several"]
        for field in several:
            text_choice.draw(field)
        text_choice.draw_folder()
        _pair(*(field for field in _RUN if field not in (*beyond(_RUN), *several, *_hidden(), _RANDOM)))


def beyond(fields: Sequence[Field], prefix: str = "") -> tuple[Field, ...]:
    """The fields of the group "Beyond the layer", in its order; `prefix` begins their words on a page with widgets of its own."""
    words = {field.word.removeprefix(prefix): field for field in fields}
    return tuple(words[word] for word in BEYOND if word in words)


def read() -> Form:
    """The spec that the controls ask for."""
    spec, complaints = link.check_words(_words())
    return Form(spec=spec, complaints=complaints)


def _words() -> Mapping[str, str]:
    kind, share = _kind(), f"{round((state.widget('sparsity') or 0.0) / 100, _DIGITS)!r}"
    removed = float(state.widget("removed") or 0.0)
    amount = f"{round(removed, _DIGITS)!r}" if 0 < removed < 1 else f"{removed:g}"
    prefix = PATTERNS[kind].prefix
    word = (f"{state.widget('n')}:{state.widget('m')}" if kind == "semi-structured" else
            ":".join(filter(None, (prefix, amount if PATTERNS[kind].counts else share))))
    hidden = _hidden()
    fields = [field for field in (*_FLAT, *_parameters(_method())) if field not in hidden]
    found = {field.word: field.write(state.widget(field.word)) for field in fields}
    found |= {"model": (state.widget("model") or "").strip() or "demo", "method": _method(), "pattern": word}
    return {word: text for word, text in found.items() if text is not None}


def _method_changed() -> None:
    """A parameter that was left at the old method's default takes the new method's; what a person has set stays."""
    before = {field.word: field.default for field in _parameters(state.recall("method", RunSpec().method.name))}
    for field in _parameters(_method()):
        if field.word not in before or state.widget(field.word) == before[field.word]:
            state.set_widget(field.word, field.default)
    if EVERY_METHOD[_method()].refusal(PATTERNS[_kind()]):
        state.set_widget("pattern_kind", next(kind for kind, one in PATTERNS.items() if not EVERY_METHOD[_method()].refusal(one)))


def _kind_changed() -> None:
    """A method that has no meaning for the pattern gives way to the first that has one."""
    pattern = PATTERNS[_kind()]
    if EVERY_METHOD[_method()].refusal(pattern):
        usual = RunSpec().method.name
        state.set_widget("method", next(name for name in (usual, *EVERY_METHOD) if not EVERY_METHOD[name].refusal(pattern)))
        _method_changed()


def _hidden() -> list[Field]:
    """Fields that have no meaning beside the others: left out of the form and of what it asks for."""
    pattern = PATTERNS[_kind()]
    alone = [field for field in _RUN if field.word in pattern.refuses]
    return [*alone, *([_ALPHA] if pattern.shrinks else []), *([] if _has_budget() else [_BUDGET]),
            *([] if state.widget("alpha") and not pattern.shrinks else [_RANDOM])]


def _parameters(method: str) -> tuple[Field, ...]:
    return fields_of(EVERY_METHOD[method], {name: name for name in EVERY_METHOD[method].parameters()})


def _method() -> str:
    return state.widget("method") or RunSpec().method.name


def _kind() -> str:
    return state.widget("pattern_kind") or "unstructured"


def _has_budget() -> bool:
    """The α budget matters where there are outlier rows, and whole columns have none."""
    return PATTERNS[_kind()].has_budget and bool(state.widget("alpha") or state.widget("alpha_budget") == "iso")


def _pair(*fields: Field) -> None:
    """Two controls a line; switches, whose text is long, have a line of their own."""
    beside = [field for field in fields if field.kind != "switch"]
    for start in range(0, len(beside), 2):
        for column, field in zip(st.columns(2, gap="small", vertical_alignment="bottom"), beside[start:start + 2], strict=False):
            with column:
                draw(field)
    for field in (field for field in fields if field.kind == "switch"):
        draw(field)
