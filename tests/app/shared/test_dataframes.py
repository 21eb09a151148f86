"""Numbers in tables: written as everywhere else, sorted by what they are."""

import pytest

from app.shared import dataframes, numbers


def test_numbers_are_shown_in_their_form_and_stay_numbers():
    rows = [{"layer": "<b>", "sparsity": 0.300801, "error": 0.02, "memory": 884_700_000, "B": 128.0},
            {"layer": "b", "sparsity": 0.5, "error": 0.01934, "memory": 992_000_000, "B": None},
            {"layer": "c", "sparsity": None, "error": float("inf"), "memory": 1_250_000_000, "B": 2048.0}]
    forms = {"sparsity": numbers.fine_percent, "error": numbers.error, "memory": numbers.size, "of another table": numbers.error}
    table = dataframes.table(rows, forms)
    table._compute()
    shown = [[cell["display_value"] for cell in line if cell["type"] == "td"] for line in table._translate(False, False)["body"]]
    assert shown == [["<b>", "30.08 %", "0.0200", "885 MB", "128"], ["b", "50.00 %", "0.0193", "992 MB", ""],
                     ["c", "", "infinite", "1.2 GB", "2048"]]
    assert list(table.data["sparsity"])[:2] == [0.300801, 0.5]
    assert list(table.data["memory"])[:2] == [884_700_000, 992_000_000]


@pytest.mark.parametrize(("text", "expected"), [
    (numbers.seconds(0.0304), "30 ms"), (numbers.seconds(0.0951), "0.1 s"), (numbers.seconds(0), "0.0 s"),
    (numbers.change(0.026), "+2.6 %"), (numbers.change(-0.00126, numbers.fine_percent), "−0.13 %"), (numbers.points(0.0131), "1.3 points"),
    (numbers.setting(0.01), "0.01"), (numbers.setting(0.1 + 0.2), "0.3"), (numbers.index(0.5), "0.500")])
def test_one_form_for_each_kind(text, expected):
    assert text == expected


def test_a_table_without_rows_is_one():
    assert dataframes.table([], {"sparsity": numbers.percent}).data.empty
