"""Curves without a browser: what is drawn and said is what the points say."""

import json
import math

import pytest
from pydantic import ValidationError

from app.curves import charts, findings
from app.shared.charts import perplexity_curves
from app.shared.charts.series import BROKEN, hover
from app.shared.findings.published import accuracy_sentence, contradictions, published_sentence
from app.shared.link import from_words
from app.shared.sweeps.published import FILE, PublishedFile, published_for, read
from app.shared.sweeps.series import counted, opens, pareto, perplexity, series_of
from app.shared.sweeps.tables import point_rows
from core.spec import METHOD_LABELS, Calibration, Evaluation, RunSpec
from tests.app.examples import evaluated, point

DENSE = evaluated(29.0)


def outlier_rows(made):
    return made.spec.pattern.outlier_rows


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def marks(figure, name):
    return {(x, y) for trace in named(figure, name) if "markers" in (trace.mode or "") for x, y in zip(trace.x, trace.y, strict=True)}


def test_every_point_stands_at_its_counted_sparsity():
    points = [point("wanda", "0.3", 29.5, counted=0.301), point("wanda", "0.5", 33.0), point("thanos", "0.5", 30.0)]
    figure = perplexity_curves.sparsity_curves(series_of(points, counted), DENSE)
    assert marks(figure, "Wanda") == {(0.301, 29.5), (0.5, 33.0)}
    assert marks(figure, "Thanos") == {(0.5, 30.0)}
    assert figure.layout.shapes[0].y0 == DENSE.perplexity
    assert "dense 29.00" in figure.layout.annotations[0].text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_destroyed_model_does_not_flatten_the_others(theme):
    points = [point("magnitude", "0.5", 32.0), point("magnitude", "0.7", 12_000.0), point("magnitude", "0.9", math.inf),
              point("thanos", "0.5", 30.0)]
    figure = perplexity_curves.sparsity_curves(series_of(points, counted), DENSE, theme=theme)
    edge = BROKEN * DENSE.perplexity
    assert marks(figure, "Magnitude") == {(0.5, 32.0), (0.7, edge), (0.9, edge)}
    (arrows,) = (trace for trace in named(figure, "Magnitude") if trace.mode == "markers+text")
    assert [text.strip() for text in arrows.text] == ["12 000.00", "infinite"]
    assert figure.layout.yaxis.type == "log"
    assert 10 ** figure.layout.yaxis.range[1] < 1.5 * edge
    assert figure.layout.annotations[0].y == pytest.approx(math.log10(29.0)), "annotations take the exponent"


def test_two_that_are_beyond_the_axis_at_one_place_do_not_hide_each_other():
    points = [point(name, "0.7", value) for name, value in (("magnitude", 12_000.0), ("wanda", 9_000.0))] + [
        point("thanos", "0.5", 30.0), point("wanda", "0.8", 9_999.0)]
    figure = perplexity_curves.sparsity_curves(series_of(points, counted), DENSE)
    edge = BROKEN * DENSE.perplexity
    found = [marks(figure, name) for name in ("Magnitude", "Wanda")]
    assert sorted(y for x, y in found[0] | found[1] if x == 0.7) == pytest.approx([0.85 * edge, edge])
    assert (0.8, edge) in found[1]


def test_small_differences_are_on_a_linear_axis():
    points = [point(perplexity=30.0 + at, parameters={"block_size": 8 * 2**at}) for at in range(3)]
    figure = charts.block_curves(series_of(points, lambda point: point.spec.method.block_size), DENSE)
    assert figure.layout.yaxis.type == "linear"
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["8", "16", "32"]


@pytest.mark.parametrize(("scale", "kind"), [("auto", "linear"), ("linear", "linear"), ("log", "log")])
def test_a_person_can_choose_the_axis(scale, kind):
    points = [point("wanda", "0.5", 33.0), point("thanos", "0.5", 30.0)]
    drawn = (perplexity_curves.sparsity_curves, charts.block_curves, charts.alpha_curves, charts.time_curves)
    for figure in (draw(series_of(points, counted), DENSE, scale=scale) for draw in drawn):
        assert figure.layout.yaxis.type == kind
        dense = next(note for note in figure.layout.annotations if note.text.startswith("dense"))
        assert dense.y == pytest.approx(math.log10(29.0) if kind == "log" else 29.0)


def test_seeds_are_one_spot_with_a_band_from_least_to_greatest():
    points = [point(word=word, perplexity=value + at, seed=seed)
              for at, word in enumerate(("0.3", "0.5")) for seed, value in enumerate((30, 32, 31))]
    (series,) = series_of(points, counted)
    assert [(len(spot.points), spot.value(perplexity), spot.range(perplexity)) for spot in series.spots] == [
        (3, 31, (30, 32)), (3, 32, (31, 33))]
    figure = perplexity_curves.sparsity_curves([series], DENSE)
    (band,) = (trace for trace in figure.data if trace.fill == "toself")
    assert list(band.y) == [32, 33, 31, 30]
    (line,) = (trace for trace in named(figure, "Thanos") if trace.mode == "lines+markers")
    assert "median of 3 seeds, 30.00 to 32.00" in line.text[0]
    assert line.customdata[0] == opens(points[2]), "the mark opens the run nearest the median"


def test_hover_has_the_protocol_and_says_where_it_comes_from():
    text = hover(series_of([point(key="f" * 64)], counted)[0].spots[0])
    assert "a text, 2 windows of 32 tokens, no overlap, float32" in text.replace("<br>", " ")
    assert "20 windows of 32 tokens, seed 0" in text.replace("<br>", " ")
    assert "one seed (0)" in text
    assert "700 MB" in text
    assert "shipped" in hover(series_of([point()], counted)[0].spots[0])


@pytest.mark.parametrize("made", [point(), point("wanda", "2:4", seed=2), point("admm-grad", "columns:0.3", alpha=0.1, refit=True)])
def test_a_shipped_point_opens_its_settings_and_a_stored_one_its_run(made):
    words = dict(part.split("=") for part in opens(made).replace("%3A", ":").split("&"))
    assert from_words(words) == (made.spec, ())
    assert opens(made.model_copy(update={"key": "ab"})) == "run=ab"


def test_patterns_of_equal_sparsity_stand_side_by_side():
    points = [point(method, word, 30.0 + at) for at, word in enumerate(("2:4", "4:8", "1:4")) for method in ("wanda", "thanos")]
    points = [entry.model_copy(update={"counted_sparsity": entry.spec.pattern.n / entry.spec.pattern.m}) for entry in points]
    figure = perplexity_curves.sparsity_curves(series_of(points, counted), DENSE)
    assert [text.partition("<")[0] for text in figure.layout.xaxis.ticktext] == ["1:4", "2:4", "4:8"]
    places = [x for name in ("Wanda", "Thanos") for x, _ in marks(figure, name)]
    assert len(set(places)) == 6


def test_the_finding_names_the_lowest_at_the_largest_common_sparsity():
    points = [point("wanda", "0.5", 33.0), point("wanda", "0.7", 60.0), point("thanos", "0.5", 30.0), point("thanos", "0.7", 45.0),
              point("frontier", "0.5", 29.8)]
    said = findings.sparsity_finding(series_of(points, counted), DENSE)
    assert "At 50.0 % counted sparsity, the most that all three have, Frontier is lowest: perplexity 29.80" in said
    assert "below Thanos (30.00) (one seed each)" in said
    assert "Frontier at 50.0 %, all that was computed" in said
    assert "Thanos up to 50.0 %" in said
    assert said.endswith("Wanda: none.")
    more = [*points, point("frontier", "0.6", 30.2)]
    assert "Frontier at every computed sparsity (to 60.0 %)" in findings.sparsity_finding(series_of(more, counted), DENSE)
    worse = [entry.model_copy(update={"pruned": evaluated(40.0)}) if entry.spec.method.name == "frontier" else entry for entry in points]
    assert "Thanos is lowest" in findings.sparsity_finding(series_of(worse, counted), DENSE)


def test_differences_within_the_spread_are_ties():
    measured = {"wanda": (30.0, 31.0), "thanos": (29.9, 30.4), "frontier": (40.0, 41.0)}
    points = [point(method, perplexity=value, seed=seed) for method, values in measured.items() for seed, value in enumerate(values)]
    said = findings.sparsity_finding(series_of(points, counted), DENSE)
    assert "Thanos and Wanda tie within the noise at 30.15, ahead of Frontier." in said
    assert "one seed" not in said


def test_block_and_alpha_findings():
    blocks = series_of([point(perplexity=value, parameters={"block_size": size}) for size, value in ((8, 31.0), (64, 30.0), (688, 30.001))],
                       lambda point: point.spec.method.block_size)
    said = findings.block_finding(blocks)
    assert said == "Thanos is lowest at B = 64 (30.00; B = 688 within the noise), highest at B = 8 (31.00)."
    alphas = series_of([point(perplexity=31.0 - alpha, alpha=alpha) for alpha in (0.0, 0.1, 0.3)], outlier_rows)
    assert findings.alpha_finding(alphas) == (
        "Counted sparsity goes from 50.0 % to 35.0 %: a lower perplexity there says nothing about α.")
    kept = series_of([point(perplexity=31.0 - alpha, alpha=alpha, budget="iso") for alpha in (0.1, 0.3)], outlier_rows)
    assert findings.alpha_finding(kept) == "Thanos is lowest at α = 0.3 (30.70), highest at α = 0.1 (30.90)."


def test_alpha_shows_the_counted_sparsity_below():
    points = [point(perplexity=31.0 - alpha, alpha=alpha) for alpha in (0.0, 0.1, 0.3)]
    figure = charts.alpha_curves(series_of(points, outlier_rows), DENSE)
    below = next(trace for trace in figure.data if trace.yaxis == "y2" and trace.mode == "lines+markers")
    assert list(below.y) == pytest.approx([0.5, 0.45, 0.35])


def test_the_front_holds_what_nobody_beats():
    points = [point("magnitude", perplexity=33.0, seconds=0.1), point("wanda", perplexity=34.0, seconds=0.2),
              point("thanos", perplexity=30.0, seconds=1.0), point("frontier", perplexity=math.inf, seconds=9.0)]
    series = series_of(points, lambda point: point.solve_seconds)
    front = pareto([spot for one in series for spot in one.spots], perplexity)
    assert [spot.points[0].spec.method.name for spot in front] == ["magnitude", "thanos"]
    said = findings.time_finding(series)
    assert "Magnitude and Thanos: no other run is both faster and lower in perplexity." in said
    assert "10.0× the time" in said
    assert "Peak memory" in said
    figure = charts.time_curves(series, DENSE)
    line = next(trace for trace in figure.data if trace.legendgroup == "front" and trace.yaxis == "y")
    assert (list(line.x), list(line.y)) == ([0.1, 1.0], [33.0, 30.0])


HUB = {"model": "meta-llama/Llama-2-7b-hf", "evaluation": Evaluation(source="hub:wikitext2"), "calibration": Calibration(source="hub:c4")}


def paper_point(**changes):
    made = point("wanda", "0.5", 6.9, dense=5.47, **{**HUB, **changes})
    return made.model_copy(update={"pruned": evaluated(6.9, windows=166, length=2048)})


def test_published_numbers_appear_where_model_and_protocol_agree():
    found = published_for([paper_point()])
    assert {(number.method, number.perplexity) for number in found if number.pattern.kind == "unstructured"} == {
        ("thanos", 6.96), ("sparsegpt", 7.02), ("wanda", 6.92)}
    series = series_of([paper_point()], counted)
    any_weights = [number for number in found if number.pattern.kind == "unstructured"]
    figure = perplexity_curves.sparsity_curves(series, evaluated(5.47), published=any_weights)
    hollow = named(figure, "hollow: published")
    assert {(trace.x[0], trace.y[0]) for trace in hollow} == {(0.5, 6.96), (0.5, 7.02), (0.5, 6.92)}
    assert all(trace.marker.symbol.endswith("-open") for trace in hollow)
    assert "arXiv:2504.05346" in hollow[0].text[0]


@pytest.mark.parametrize("changes", [{"model": "demo"}, {"evaluation": Evaluation(source="hub:wikitext2", windows=20)}, {"refit": True},
                                     {"evaluation": Evaluation()}, {"calibration": Calibration(windows=16, source="hub:c4")},
                                     {"evaluation": Evaluation(source="hub:wikitext2", bos="every-window")}])
def test_published_numbers_do_not_appear_elsewhere(changes):
    assert not published_for([paper_point(**changes)])
    assert not published_for([paper_point().model_copy(update={"pruned": evaluated(6.9, length=4096)})])


def test_the_papers_own_contradictions_are_told():
    doubts = {(number.method, number.perplexity): number.doubt for number in read().numbers if number.doubt}
    assert "52" in doubts["thanos", 64.43]
    assert "45" in doubts["sparsegpt", 82.19]
    unequal = [number for number in read().numbers if number.model == "LLaMA-3 8B" and number.table == "4:8" and number.method == "thanos"]
    assert unequal[0].sparsity == pytest.approx(0.45, abs=1e-3)
    assert "45 % sparse" in unequal[0].doubt


def test_the_file_of_published_numbers_is_valid_and_nothing_in_it_is_without_its_paper():
    file = read()
    assert set(file.papers) == {number.paper for number in file.numbers}
    assert all(paper.source and paper.protocol.words for paper in file.papers.values())
    assert len({(*number.setting, number.paper, number.perplexity) for number in file.numbers}) == len(file.numbers)
    content = json.loads(FILE.read_text(encoding="utf-8"))
    for change in ({"paper": "nobody"}, {"method": "nothing"}, {"pattern": "5:4"}, {"perplexity": 0.5}, {"model": "GPT-9"}, {"more": 1}):
        with pytest.raises(ValidationError):
            PublishedFile.model_validate({**content, "numbers": [{**content["numbers"][0], **change}]})


def test_papers_that_contradict_each_other_are_told_and_one_without_its_calibration_is_not_drawn():
    found = published_for([paper_point()])
    assert {number.paper for number in found} == {"thanos"}
    told = [text for text in contradictions(found) if text.startswith("SparseGPT, 0.5,")]
    assert told == ["SparseGPT, 0.5, LLaMA-2 7B: 7.02 (Ilin & Richtárik 2025, arXiv:2504.05346), but 7.00 (Meng et al. 2024 (ALPS), "
                    "arXiv:2406.07831, whose calibration is not known here)."]
    assert not contradictions(number for number in found if number.pattern_text == "4:8")


def test_a_run_is_told_what_papers_print_for_it():
    said = published_sentence(paper_point())
    assert said.startswith("Published under the same protocol: 6.92 (Ilin & Richtárik 2025, arXiv:2504.05346).")
    assert "but 6.93 (Meng et al. 2024 (ALPS)" in said
    assert published_sentence(paper_point(refit=True)) == ""
    assert published_sentence(point("wanda", "0.5", 31.0)) == ""


def test_a_published_mean_is_told_for_exactly_its_tasks():
    spec = paper_point().spec.model_copy(update={"model": "meta-llama/Llama-2-70b-hf"})
    said = accuracy_sentence(spec, read().tasks)
    assert said.startswith("Published mean of these tasks: 66.75 % (Ilin & Richtárik 2025, arXiv:2504.05346; dense model 67.72 %).")
    assert accuracy_sentence(spec, read().tasks[:-1]) == ""
    assert accuracy_sentence(spec.model_copy(update={"refit": True}), read().tasks) == ""
    assert accuracy_sentence(paper_point().spec, read().tasks) == ""


def test_rows_hold_what_the_chart_shows():
    (row,) = point_rows([point("wanda", "2:4", 31.5, seed=2, alpha=0.1, key="k")])
    assert row["pattern"] == "2:4"
    assert (row["perplexity"], row["seed"], row["alpha"], row["run"]) == (31.5, 2, 0.1, "k")
    assert RunSpec().pattern.kind == "unstructured"


def test_the_ring_stands_on_the_run_s_own_mark():
    points = [point(name, word, 30.0 + at, counted=share) for at, name in enumerate(("wanda", "sparsegpt", "thanos"))
              for word, share in (("2:4", 0.5), ("4:8", 0.5))]
    series = series_of(points, counted)
    for one in points:
        figure = perplexity_curves.sparsity_curves(series, DENSE, choice=(one.counted_sparsity, one.pruned.perplexity))
        before = {trace.name: marks(figure, trace.name) for trace in figure.data if trace.name}
        perplexity_curves.add_choice(figure, series, DENSE, one.spec, one.counted_sparsity, one.pruned.perplexity, theme="light",
                                      label="this")
        (ring,) = marks(figure, "this")
        assert ring in before[METHOD_LABELS[one.spec.method.name]], "among its own method's marks, not between the methods"


@pytest.mark.parametrize(("others", "edge"), [((30.0, 31.0, 33.0), 1.15 * 33.0), ((30.0, 31.0, 4000.0), BROKEN * DENSE.perplexity)])
def test_a_broken_choice_is_drawn_at_the_edge_with_its_number(others, edge):
    points = [point("thanos", "0.5", others[0]), point("thanos", "0.6", others[1]), point("wanda", "0.5", others[2])]
    series, chosen = series_of(points, counted), point("magnitude", "0.95", 52_000.0)
    figure = perplexity_curves.sparsity_curves(series, DENSE, choice=(0.95, 52_000.0))
    perplexity_curves.add_choice(figure, series, DENSE, chosen.spec, 0.95, 52_000.0, theme="dark", label="this run")
    assert marks(figure, "this run") == {(0.95, edge)}
    assert figure.layout.annotations[-1].text == "52 000.00"
    log = figure.layout.yaxis.type == "log"
    low, high = (10**end for end in figure.layout.yaxis.range) if log else figure.layout.yaxis.range
    assert low < DENSE.perplexity < edge < high < 1.5 * edge
    assert figure.layout.annotations[-1].y == (math.log10(edge) if log else edge)
    assert figure.layout.xaxis.range[0] < 0.5
    assert figure.layout.xaxis.range[1] > 0.95


def test_a_choice_that_is_not_far_keeps_its_place():
    series = series_of([point("thanos", "0.5", 30.0), point("wanda", "0.6", 33.0)], counted)
    chosen = point("magnitude", "0.7", 45.0)
    figure = perplexity_curves.sparsity_curves(series, DENSE, choice=(0.7, 45.0))
    perplexity_curves.add_choice(figure, series, DENSE, chosen.spec, 0.7, 45.0, theme="light", label="this run")
    assert marks(figure, "this run") == {(0.7, 45.0)}
