"""Shares in Streamlit's tables, written as everywhere else: `30.08 %`. Its own format for percentages leaves the space out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from app.shared import numbers

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


def table(rows: Sequence[Mapping[str, object]], shares: Collection[str]) -> Styler:
    """Rows for `st.dataframe`, in which the columns `shares` are shown as percentages. What is sorted, copied and taken away is the
    share itself. A column configuration must give these columns no format: it would win."""
    import pandas

    found = pandas.DataFrame(rows)
    styled = found.style
    styled.format(_plain, na_rep="").format(numbers.fine_percent, subset=[name for name in shares if name in found], na_rep="")
    return styled


def _plain(value: object) -> str:
    """Columns with neither a share nor a format: pandas would write the block size 128 as 128.000000 where another run has none."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
