"""Readings of soil moisture: their units, missing codes and depths."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .table import Table

MISSING_CODES = (-9999.0, -999.0, -99.0, -32768.0)
"""Values of a reading that data loggers and archives write for missing."""


_INCH = 0.0254


def depth_of_inches(inches: float) -> float:
    """Return a depth in metres, to the centimetre: 2 inches are 0.05 m.

    So do ISMN's records and those who use 2-inch sensors as 5 cm; finer than a centimetre no
    sensor is installed.
    """
    return round(inches * _INCH, 2)


def metric_depth(depth: float) -> float:
    """Return a depth in metres, to the centimetre where it is a whole number of inches."""
    inches = round(depth / _INCH)
    return depth_of_inches(inches) if abs(depth - inches * _INCH) < 1e-5 else depth


def looks_like_percent(values: np.ndarray) -> bool:
    """Whether most readings lie above 1, which no volumetric moisture in m³ m⁻³ does."""
    known = values[np.isfinite(values)]
    return bool(len(known)) and float(np.mean(known > 1)) > 0.5


def read_target(table: Table, name: str, kept: np.ndarray, progress: Progress) -> np.ndarray:
    """Return the target in m³ m⁻³, float64 (n,), NaN for missing.

    Missing codes (−9999, −999, −99, −32768) count as missing, with a warning. Only the rows of
    the mask `kept` are judged.

    Raises
    ------
    InputError
        When a value is text, or above 1, as percent are.
    """
    values = table.numeric(name)
    codes = np.isin(values, MISSING_CODES)
    if (codes & kept).any():
        progress.warn(
            f"The field '{name}' holds a missing code ({values[codes & kept][0]:g}) in "
            f"{int((codes & kept).sum())} rows, which counts as missing."
        )
    values = np.where(codes, np.nan, values)
    wet = kept & (values > 1)
    if wet.any():
        highest = f"{values[wet].max():g}"
        if looks_like_percent(values[kept]):
            raise InputError(
                f"The field '{name}' holds values up to {highest}: it looks like percent.",
                "Moisture must be in m³ m⁻³: divide by 100, or import with UNITS percent.",
            )
        raise InputError(
            f"The field '{name}' holds {int(wet.sum())} values above 1 m³ m⁻³, up to {highest} "
            f"(first in row {int(np.flatnonzero(wet)[0]) + 1}).",
            "Correct them or leave them empty.",
        )
    dry = kept & (values < 0)
    if dry.any():
        progress.warn(
            f"The field '{name}' holds {int(dry.sum())} values below 0 m³ m⁻³, down to "
            f"{values[dry].min():g}; they are used as they are."
        )
    return values


def depth_range(table: Table, used: np.ndarray, progress: Progress) -> tuple[float, float] | None:
    """Return the range of depths of the rows `used`, m, positive down; None where unknown.

    Several depth ranges that do not overlap are told, since they are different moistures.
    """
    if not (table.has("depth_from") and table.has("depth_to")):
        return None
    tops, bottoms = table.numeric("depth_from"), table.numeric("depth_to")
    known = used & np.isfinite(tops) & np.isfinite(bottoms)
    if not known.any():
        return None
    tops, bottoms = tops[known], bottoms[known]
    if tops.max() > bottoms.min():
        depths = sorted(set(zip(tops.tolist(), bottoms.tolist())))
        listed = ", ".join(f"{top:g}–{bottom:g} m" for top, bottom in depths[:10])
        progress.warn(f"Readings of depths that do not overlap are used together: {listed}.")
    return float(tops.min()), float(bottoms.max())
