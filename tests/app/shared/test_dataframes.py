"""Shares in tables: shown as percentages, kept as they are."""

from app.shared import dataframes


def test_shares_are_shown_as_percentages_and_stay_shares():
    rows = [{"layer": "<b>", "sparsity": 0.300801, "B": 128.0}, {"layer": "b", "sparsity": 0.5, "B": None},
            {"layer": "c", "sparsity": None, "B": 2048.0}]
    table = dataframes.table(rows, ["sparsity", "of another table"])
    assert list(table.data["sparsity"])[:2] == [0.300801, 0.5]
    shown = [cell.strip() for row in table.to_string(delimiter="|").splitlines()[1:] for cell in row.split("|")[1:]]
    assert shown == ["<b>", "30.08 %", "128", "b", "50.00 %", "", "c", "", "2048"]


def test_a_table_without_rows_is_one():
    assert dataframes.table([], ["sparsity"]).data.empty
