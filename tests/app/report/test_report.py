"""Reports without a browser: what is in the file, and what a run's words cannot become in it."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import torch
import typer
from typer.testing import CliRunner

from app.report import report, runs_json
from app.report.__main__ import main
from app.shared import numbers
from app.shared.comparison import compare
from app.shared.findings.comparison import verdict
from app.shared.link import command_line
from app.shared.shipped import GALLERY
from cache.records import RunRecord
from cache.store import Store
from core.records import RunResult
from core.run.journal import BlockState
from core.spec import make_method
from tests.app.examples import layer, layers, result

EVIL = "a/</script><script>alert(1)</script><img src=x onerror=alert(1)>'\""


class Reader(HTMLParser):
    """The elements of a document with their attributes, and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements, self.text, self.data, self._inside = [], "", {}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(dict(attrs).get("id", tag))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data):
        if self._inside:
            self.data[self._inside[-1]] = self.data.get(self._inside[-1], "") + data
        else:
            self.text += data


def test_a_report_says_what_the_run_says():
    found = result()
    read = Reader(report([found], made=1.7e9))
    for part in ("demo · Thanos · 50 % of the weights · B = 128", verdict(compare([found])), "14.98 → 15.59", found.pruned.protocol,
                 found.calibration, command_line(found.spec), "14 Nov 2023, 22:13 UTC"):
        assert part in read.text
    exact = [attrs["data-value"] for tag, attrs in read.elements if tag == "td" and "data-value" in attrs]
    for item in found.layers:
        assert item.name in exact
        assert repr(item.relative_error) in exact


def test_the_runs_are_in_it_and_can_be_read_again(tmp_path):
    runs = [result(method=make_method("wanda"), pruned=float("inf")), result()]
    read = Reader(report(runs))
    assert [RunResult.model_validate(entry) for entry in json.loads(read.data["runs"])["runs"]] == runs
    (tmp_path / "runs.json").write_text(runs_json(runs))
    done = CliRunner().invoke(_app(), [str(tmp_path / "runs.json"), "-o", str(tmp_path / "report.html")])
    assert done.exit_code == 0, done.output
    assert "Wanda" in Reader((tmp_path / "report.html").read_text()).text


def test_charts_are_in_it_for_light_and_dark():
    alone = json.loads(Reader(report([result()])).data["figures"])
    together = json.loads(Reader(report([result(), result(method=make_method("wanda"))])).data["figures"])
    assert [figure["name"] for figure in alone] == ["layer-errors"]
    assert [figure["name"] for figure in together] == ["perplexities", "layer-errors"]
    for figure in (*alone, *together):
        assert figure["light"]["layout"]["template"] != figure["dark"]["layout"]["template"]
        assert figure["light"]["data"]


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_a_run_says_becomes_markup(count):
    def evil(**more):
        found = result((layer(0, "<b>", 0.2, 0.1).model_copy(update={"name": EVIL, "module": EVIL}),), **more)
        texts = {"text": EVIL}
        return found.model_copy(update={
            "spec": found.spec.model_copy(update={"model": EVIL}), "calibration": EVIL, "dense": found.dense.model_copy(update=texts),
            "pruned": found.pruned.model_copy(update=texts)})

    html = report([evil(), evil(method=make_method("wanda"))][:count])
    read = Reader(html)
    assert [attrs.get("id", "") for tag, attrs in read.elements if tag == "script"] == ["figures", "runs", "", ""]
    assert not [tag for tag, attrs in read.elements if tag == "img" or any(name.startswith("on") for name in attrs)]
    assert EVIL in read.text
    (policy,) = (attrs["content"] for tag, attrs in read.elements if "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    assert "unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_it_asks_for_nothing_from_elsewhere():
    read = Reader(report([result()]))
    assert not [attrs for _, attrs in read.elements if {"src", "href"} & set(attrs)]
    assert "@import" not in read.data["style"]
    assert "url(" not in read.data["style"]


def test_a_long_table_is_folded_and_no_run_is_refused():
    assert "<details>" in report([result(layers(blocks=30))])
    with pytest.raises(ValueError, match="needs a run"):
        report([])


def test_a_comparison_warns_as_the_page_does():
    other = result(method=make_method("wanda")).model_copy(update={"counted_sparsity": 0.3})
    assert "Not equally sparse" in Reader(report([result(), other])).text


def put(store, key, found):
    store.put_result(key, found)
    store.put_record(RunRecord(key=key, spec=found.spec, state="queued", submitted=1.0).finished(found))


def test_masks_are_counted_where_the_weights_are_kept_and_missed_in_words_where_not(tmp_path, prunescope_home):
    store, shape, keys = Store(prunescope_home), (8, 12), ("ab" * 32, "cd" * 32)
    runs = [result(), result(method=make_method("wanda"))]
    gone = torch.zeros(2, *shape, dtype=torch.bool)
    gone[0, :, :6], gone[1, :, 3:9] = True, True  # half of each; half of what A removes goes in B too
    for key, found, mask in zip(keys, runs, gone, strict=True):
        put(store, key, found)
        for block in range(3):
            records = tuple(item for item in found.layers if item.block == block)
            weights = {item.name: (~mask).float() for item in records}
            store.journal(key).write(block, BlockState(layers=records, weights=weights))
    done = CliRunner().invoke(_app(), [*keys, "gallery:thanos-0.5", "-o", str(tmp_path / "report.html")])
    assert done.exit_code == 0, done.output
    read = Reader((tmp_path / "report.html").read_text())
    shipped = RunResult.model_validate_json(next(GALLERY.glob("*thanos-0.5.json")).read_bytes())
    first, second, _ = (run.label for run in compare([*runs, shipped]))
    shared = "removes 50.0 % too. Jaccard index 0.333; by chance it would be 0.333."
    assert f"Of the weights that {first} removes, {second} {shared}" in read.text
    assert "No pruned weights are kept of" in read.text
    charts = {figure["name"]: figure for figure in json.loads(read.data["figures"])}
    assert set(charts) == {"perplexities", "layer-errors", "mask-overlaps-1"}
    assert [attrs for _, attrs in read.elements if attrs.get("id") == "chart-mask-overlaps-1"]
    assert charts["mask-overlaps-1"]["light"]["data"][1]["y"][0] == pytest.approx(1 / 3)


def _app():
    app = typer.Typer()
    app.command()(main)
    return app


def test_the_command_line_reads_keys_the_gallery_and_files(tmp_path, prunescope_home):
    found, key = result(), "ab" * 32
    put(Store(prunescope_home), key, found)
    (tmp_path / "one.json").write_text(found.model_dump_json())
    target = tmp_path / "report.html"
    done = CliRunner().invoke(_app(), [key, "gallery:thanos-0.5", str(tmp_path / "one.json"), "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert "3 runs, " in done.output
    assert numbers.perplexity(found.pruned.perplexity) in target.read_text()


@pytest.mark.parametrize(("word", "told"), [
    ("cd" * 32, "finished runs in this store"), ("gallery:none", "gallery:thanos-0.5"), ("nothing.json", "No such file"),
])
def test_a_word_that_names_no_run_is_told(word, told):
    done = CliRunner().invoke(_app(), [word])
    assert done.exit_code == 1
    assert told in done.output


@pytest.mark.parametrize("text", ["{", "[]", '{"runs": [{}]}', '{"runs": []}', "7"])
def test_a_file_of_something_else_is_told(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    done = CliRunner().invoke(_app(), [str(tmp_path / "other.json")])
    assert done.exit_code == 1
    assert re.search("holds something else|no run in it", done.output)


def test_making_a_report_needs_neither_torch_nor_the_web_server(root):
    code = "import sys, app.report.__main__; sys.exit(', '.join({'torch', 'streamlit', 'transformers'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
