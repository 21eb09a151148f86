"""A method from outside the package in the app: form, block sizes, order of legends, mark."""

import pytest
from streamlit.testing.v1 import AppTest

from app.shared.controls import fields_of
from app.shared.style import METHOD_MARKS, method_mark
from app.shared.sweeps.grid import Sweep, block_methods
from core.spec import METHODS, RunSpec, make_method, register_method, unregister_method
from tests.outside_method import Powers


@pytest.fixture(autouse=True)
def powers():
    register_method(Powers)
    yield
    unregister_method("powers")


def test_its_parameters_are_fields():
    granularity, exponent = fields_of(Powers, {name: name for name in Powers.parameters()})
    assert (granularity.kind, granularity.choices) == ("choice", ("layer", "row"))
    assert (exponent.kind, exponent.title, exponent.low, exponent.high, exponent.default) == ("number", "Exponent a", 0, 4, 0.5)


def _form():
    import streamlit as st

    from app.shared import controls
    from core.spec import RunSpec, make_method

    if "filled" not in st.session_state:
        st.session_state["filled"] = True
        controls.fill(RunSpec(method=make_method("powers", exponent=2.0)))
    controls.draw_controls()
    st.text(controls.read().spec.method.model_dump_json())


def test_the_form_has_it():
    page = AppTest.from_function(_form, default_timeout=240).run()
    assert not page.exception
    assert page.selectbox(key="method").value == "powers"
    assert "Powers" in page.selectbox(key="method").options
    page.number_input(key="exponent").set_value(3.0).run()
    assert page.text[0].value == make_method("powers", exponent=3.0).model_dump_json()
    page.selectbox(key="method").set_value("thanos").run()
    assert "block_size" in {box.key for box in page.number_input}
    assert "exponent" not in {box.key for box in page.number_input}


def test_a_sweep_has_it_last_and_without_blocks():
    assert "powers" not in block_methods()
    found = Sweep(methods=("powers", "thanos"), block_sizes=(8, 16)).grid()
    assert [(spec.method.name, spec.method.own_block_size) for spec in found.specs] == [("powers", None), ("thanos", 8), ("thanos", 16)]
    assert list(METHODS)[-1] == "powers"
    refused = Sweep(methods=("powers",), patterns=("columns:0.3",)).grid()
    assert not refused.specs
    assert "single entries" in refused.refused[0]


def test_it_has_a_mark_that_no_other_has():
    assert method_mark("powers") not in METHOD_MARKS.values()
    assert RunSpec(method=make_method("powers")).title == "demo · Powers · 0.5"
