"""Why observations are left out when they are matched with rasters."""

from __future__ import annotations

import numpy as np

from ...covariates.table import CovariateTable
from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import crs_name
from ...rasters.reading import geometry
from ..table import Table
from .matching_facts import MATCHED, NO_DATE, NO_POINT, NO_RASTER, NO_VALUE, RAINED, WHY
from .matching_rows import nearest_days

_OUTSIDE_ALL = "outside every raster"
_NO_COVARIATE = "no covariate has a value here on this date"
_NO_DAY = "no raster within the tolerance of this date"
_RAIN = "rain between image and observation"
_NAMES_SHOWN = 10


def row_reasons(why: np.ndarray) -> np.ndarray:
    """Return why a row has no covariate at all, object (n,); '' where it has one."""
    reason = np.full(len(why), "", dtype=object)
    lost = ~(why == MATCHED).any(axis=1)
    asked = (why != NO_RASTER).any(axis=1)
    inside = ((why == NO_VALUE) | (why == RAINED)).any(axis=1)
    reason[lost] = _NO_COVARIATE
    reason[lost & ~asked] = _NO_DAY
    reason[lost & asked & ~inside] = _OUTSIDE_ALL
    reason[lost & (why == RAINED).any(axis=1)] = _RAIN
    for code in (NO_DATE, NO_POINT):
        reason[(why == code).any(axis=1)] = WHY[code]
    return reason


def no_match(
    reason: np.ndarray, covariates: CovariateTable, days: np.ndarray, table: Table
) -> InputError:
    """Return the error for a table of which no row is matched."""
    cure = (
        "Check the coordinate reference systems of the observations and of the rasters, and the "
        "dates of the covariate table."
    )
    if set(reason) == {_NO_DAY}:
        known = (nearest_days(covariates, name, days) for name in covariates.names)
        shown = [text for text in known if text]
        more = f", and so on for {len(shown) - 1} more" if len(shown) > 1 else ""
        cure = f"{shown[0]}{more}. Add rasters of these days, or raise the tolerance."
    elif set(reason) == {_OUTSIDE_ALL}:
        cure = _where(covariates, table) + cure
    return InputError(f"No row of the {len(reason)} has a covariate: {_counted(reason)}.", cure)


def tell_left_out(reason: np.ndarray, station: np.ndarray, progress: Progress) -> None:
    """Say how many rows are left out and why, and which stations altogether."""
    left = reason != ""
    count = int(left.sum())
    progress.info(f"{len(reason) - count} of {len(reason)} rows have covariates.")
    if not count:
        return
    progress.warn(f"{count} of {len(reason)} rows are left out: {_counted(reason)}.")
    lost = sorted(set(station[left]) - set(station[~left]) - {""})
    if lost and not left.all():
        more = f" and {len(lost) - _NAMES_SHOWN} more" if len(lost) > _NAMES_SHOWN else ""
        progress.warn(f"Stations without any row left: {', '.join(lost[:_NAMES_SHOWN])}{more}.")


def _where(covariates: CovariateTable, table: Table) -> str:
    """Say where the observations lie, and where the first raster that can be read."""
    x, y = table.x[np.isfinite(table.x)], table.y[np.isfinite(table.y)]
    for row in covariates.rows:
        try:
            grid = geometry(covariates.path_of(row))
        except RasterError:
            continue
        west, south, east, north = grid.bounds
        return (
            f"The observations lie at {_range(x.min(), x.max())}, {_range(y.min(), y.max())} "
            f"({crs_name(table.crs)}), the raster of '{row.covariate}' at {_range(west, east)}, "
            f"{_range(south, north)} ({crs_name(grid.crs)}). "
        )
    return ""


def _range(first: float, last: float) -> str:
    return f"{first:.10g}" if first == last else f"{first:.10g} to {last:.10g}"


def _counted(reason: np.ndarray) -> str:
    why, counts = np.unique([text for text in reason if text], return_counts=True)
    return ", ".join(f"{count} {text}" for text, count in zip(why, counts))
