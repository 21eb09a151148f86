"""The controls of a run and its link: what one says the other says; nonsense is told in words."""

import pytest

from core.spec import METHODS, RunSpec, make_method, parse_pattern
from tests.pages.conftest import SMALL, link, said

pytestmark = pytest.mark.usefixtures("without_workers", "no_gallery")


@pytest.mark.parametrize(("words", "told"), [
    ({"pattern": "9:4"}, "0 to m = 4"),
    ({"alpha": "7", "windows": "many"}, "alpha: '7' cannot be used"),
    ({"model": "../../etc/passwd"}, "Absolute paths"),
    ({"run": "0" * 64}, "not in this store"),
    ({"run": "../../x"}, "no run's key"),
    ({"run": "zzz", "method": "magic", "foo": "<script>alert(1)</script>"}, "method: 'magic'"),
])
def test_nonsense_in_a_link_is_told_in_words(visit, words, told):
    page = visit(words=words)
    text = said(page)
    assert "Not everything in this link could be used" in text
    assert told in text or "Used instead" in text
    assert "Traceback" not in text
    page.button(key="dismiss").click().run()
    assert "Not everything" not in said(page)


def test_nothing_a_link_says_becomes_markup(visit):
    page = visit(words={"foo": "<img src=x onerror=alert(1)>"})
    assert not any("<img" in item.proto.body for item in page.main if item.type == "html")


def test_a_lost_run_keeps_the_settings_of_its_link(visit):
    page = visit(words={"run": "0" * 64, "method": "wanda", "pattern": "2:4"})
    assert page.selectbox(key="method").value == "wanda"
    assert page.number_input(key="n").value == 2
    assert link(page) == {"method": "wanda", "pattern": "2:4"}
    assert not page.button(key="run_button").disabled


SPECS = [
    RunSpec(),
    RunSpec(method=make_method("wanda", granularity="layer"), pattern=parse_pattern("2:4")),
    RunSpec(method=make_method("sparsegpt", block_size=64, damping=0.1, raise_damping=True), pattern=parse_pattern("0.333")),
    RunSpec(method=make_method("thanos", block_size=7), pattern=parse_pattern("columns:0.3", alpha=0.1), refit=True, device="cpu"),
    RunSpec(method=make_method("magnitude"), pattern=parse_pattern("0.995", alpha=0.001)),
    RunSpec(pattern=parse_pattern("0.57", alpha=0.25, alpha_budget="iso"), revision="abc", true_sequential=True),
    SMALL,
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.title)
def test_the_controls_say_what_the_link_says(visit, spec):
    from app.shared.link import to_words

    page = visit(words={"device": "auto", **to_words(spec)})
    assert link(page) == to_words(spec)
    page.run()
    assert link(page) == to_words(spec)


def test_whole_blocks_bring_a_method_that_scores_them_and_a_form_without_what_has_no_meaning(visit):
    page = visit(words={"device": "auto", "alpha": "0.1", "reconstruct": "3"})
    page.segmented_control(key="pattern_kind").set_value("blocks").run()
    assert link(page) == {"method": "influence", "pattern": "blocks:1", "device": "auto"} or link(page) == {
        "method": "influence", "pattern": "blocks:1"}
    drawn = {item.key for kind in ("number_input", "selectbox", "checkbox") for item in page.get(kind)}
    assert {"removed", "greedy"} <= drawn
    assert not {"alpha", "reconstruct", "update", "refit"} & drawn
    page.number_input(key="removed").set_value(0.25).run()
    assert link(page)["pattern"] == "blocks:0.25"
    page.selectbox(key="method").set_value("wanda").run()
    assert page.segmented_control(key="pattern_kind").value == "unstructured"
    assert link(page)["method"] == "wanda"


@pytest.mark.parametrize("method", list(METHODS))
def test_every_parameter_of_a_method_has_a_control_with_its_words(visit, method):
    page = visit(words={"method": method})
    fields = {name: field for name, field in METHODS[method].model_fields.items() if name != "name"}
    drawn = {item.key: item for kind in ("number_input", "selectbox", "checkbox", "text_input") for item in page.get(kind)}
    for name, field in fields.items():
        assert field.title in drawn[name].label
        assert drawn[name].help == field.description


@pytest.mark.parametrize(("widget", "key", "value", "words"), [
    ("slider", "sparsity", 57.0, {"pattern": "0.57"}),
    ("number_input", "alpha", 0.1, {"alpha": "0.1"}),
    ("number_input", "block_size", 64, {"block_size": "64"}),
    ("number_input", "damping", 0.05, {"damping": "0.05"}),
    ("checkbox", "raise_damping", True, {"raise_damping": "true"}),
    ("number_input", "windows", 24, {"windows": "24"}),
    ("number_input", "evaluation_windows", 8, {"evaluation_windows": "8"}),
    ("selectbox", "calibration", "text:notes.txt", {"calibration": "text:notes.txt"}),
    ("selectbox", "device", "cpu", {"device": "cpu"}),
    ("checkbox", "refit", True, {"refit": "true"}),
])
def test_every_control_writes_the_link(visit, prunescope_home, widget, key, value, words):
    (prunescope_home / "texts").mkdir()
    (prunescope_home / "texts" / "notes.txt").write_text("A text to choose.")
    page = visit()
    getattr(page, widget)(key=key).set_value(value).run()
    assert link(page) == words


def test_a_parameter_left_alone_takes_the_default_of_the_new_method(visit):
    page = visit(words={"method": "wanda"})
    page.selectbox(key="method").set_value("magnitude").run()
    assert page.selectbox(key="granularity").value == "layer"
    page.selectbox(key="method").set_value("sparsegpt").run()
    page.number_input(key="damping").set_value(0.2).run()
    page.selectbox(key="method").set_value("thanos").run()
    assert page.number_input(key="damping").value == 0.2
    assert link(page) == {"damping": "0.2"}


def test_controls_that_do_not_fit_together_say_so_and_run_nothing(visit, keep, small_result):
    keep(small_result)
    page = visit(words={"pattern": "0.9", "alpha": "0.3"})
    page.selectbox(key="alpha_budget").set_value("iso").run()
    assert "at most 1 − p = 0.1" in said(page)
    assert "an earlier answer" in said(page)
    assert page.button(key="run_button").disabled


def test_an_unknown_model_says_which_are_at_hand(visit):
    page = visit(words={"model": "no-such-model"})
    assert "At hand: demo" in said(page)
    assert page.button(key="run_button").disabled


@pytest.mark.parametrize("page", ["explore", "layers", "curves"])
def test_what_goes_beyond_a_layer_is_a_group_of_its_own(visit, page):
    groups = {item.label: item for item in visit(page).sidebar.expander}
    beyond = {item.label for kind in ("selectbox", "number_input", "checkbox") for item in groups["Beyond the layer"].get(kind)}
    texts = {item.label for kind in ("selectbox", "number_input", "checkbox") for item in groups["Texts, windows, device"].get(kind)}
    assert {"Allocation", "Error propagation", "Fisher weighting", "Exact refit", "Block reconstruction"} <= beyond
    assert {"Device", "Calibration text"} <= texts
    assert not beyond & texts
