"""Numbers in Streamlit's tables, written as everywhere else. Its own formats drop zeros (0.02 beside 0.0193) and spaces (884.7MB)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from app.shared.numbers import NOT_COMPUTED

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


_OPTIMA = {"optimum_error", "over_optimum", "median_over_optimum"}  # columns in which nothing is a value that was left out
Forms = Mapping[str, Callable[[float], str]]


def table(rows: Sequence[Mapping[str, object]], forms: Forms) -> Styler:
    """Rows for `st.dataframe`, in which each column of `forms` is shown in its form (`app/shared/numbers.py`). What is sorted, copied and
    taken away is the number itself. A column configuration must give these columns no format: it would win."""
    import pandas

    found = pandas.DataFrame(rows)
    styled = found.style
    styled.format({name: forms.get(name, _plain) for name in found}, na_rep="")
    for name in _OPTIMA.intersection(found):
        styled.format(forms.get(name, _plain), na_rep=NOT_COMPUTED, subset=[name])
    return styled


def _plain(value: object) -> str:
    """Columns with neither a share nor a format: pandas would write the block size 128 as 128.000000 where another run has none."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
