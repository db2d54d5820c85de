"""What a comparison of two maps found, as a table of scores."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ..rasters.writing import atomic_path
from .comparison import Comparison
from .metrics import COLUMNS, Row

SIDES = ("input", "reference")


def comparison_row(comparison: Comparison) -> Row:
    """Return the scores as a line of a metrics table, with further columns.

    `n` counts cells; the input stands for the prediction and the reference for the measurement.
    """
    moments, counts = comparison.moments, comparison.counts
    row: Row = {
        "scope": "overall",
        "group": "",
        "n": moments.n,
        "r2": moments.r2,
        "r": moments.r,
        "me": moments.me,
        "rmse": moments.rmse,
        "ubrmse": moments.ubrmse,
        "mae": moments.absolute / moments.n,
        "slope": moments.slope,
        "source": "input",
        "abs_me": abs(moments.me),
        "kl": counts.divergence,
        "threshold": moments.threshold,
        "wetter": moments.wetter / moments.n,
        "drier": moments.drier / moments.n,
    }
    if moments.bounded:
        row["picp90"] = moments.inside / moments.bounded
        row["width90"] = moments.width / moments.bounded
    for place, side in enumerate(SIDES):
        mean, sd = float(moments.means[place]), float(moments.sd[place])
        row[f"mean_{side}"], row[f"sd_{side}"] = mean, sd
        row[f"cv_{side}"] = sd / mean if mean > 0 else None
    for place, side in enumerate((*SIDES, "difference")):
        row[f"min_{side}"] = float(moments.low[place])
        for level, value in counts.quantiles(place).items():
            row[f"q{round(100 * level):02d}_{side}"] = value
        row[f"max_{side}"] = float(moments.high[place])
    return row


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the scores as CSV (UTF-8): the columns of every metrics table, then further ones."""
    row = comparison_row(comparison)
    columns = [*COLUMNS, *(name for name in row if name not in COLUMNS)]
    with (
        atomic_path(Path(path)) as temporary,
        Path(temporary).open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerow([_cell(row.get(name)) for name in columns])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}" if value == value else ""
    return str(value)
