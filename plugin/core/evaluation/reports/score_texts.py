"""Scores in a line of text, for the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..metrics import Row
from .report import UNIT, number, percent, plural


def score_texts(rows: Iterable[Row], labels: Mapping[str, str]) -> list[str]:
    """Return a line for the log of each source: its scores over all rows.

    Parameters
    ----------
    rows : iterable of dict
        Lines of the metrics table; those of the scope ``overall`` count.
    labels : mapping
        What to call each source; one that is not named is called as in the table.
    """
    return [
        f"{labels.get(row['source'], row['source'])}: RMSE {number(row['rmse'])}, ME "
        f"{number(row['me'], signed=True)}, ubRMSE {number(row['ubrmse'])} {UNIT}, R² "
        f"{number(row['r2'], 2)}{_inside(row)}; {plural(row['n'], 'row')} of "
        f"{plural(row['stations'], 'station')}."
        for row in rows
        if row["scope"] == "overall"
    ]


def _inside(row: Row) -> str:
    if row["picp90"] is None:
        return ""
    return f", {percent(row['picp90'])} inside the 90 % interval"
