"""Covariates at stations: the training table from observations and a covariate table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from ..covariates.table import CovariateRow, CovariateTable
from ..errors import InputError
from ..progress import Progress
from ..rasters.sampling import METHODS, sample_bands
from .table import Table

TABLE_METHOD = "table"
REASON_FIELD = "reason"

_NO_POINT = "no point"
_NO_DATE = "no date"
_OUTSIDE = "outside every raster"
_NO_COVARIATE = "no covariate has a value here on this date"

# How a row's resampling is read at a point: cubic as bilinear, the average as its cell.
_AT_POINTS = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "cubic": "bilinear",
    "average": "nearest",
}


def sample_covariates(
    table: Table,
    covariates: CovariateTable,
    *,
    date_field: str = "date",
    method: str = TABLE_METHOD,
    progress: Progress | None = None,
) -> tuple[Table, Table]:
    """Add a field with its value for each covariate to observations.

    Parameters
    ----------
    table : Table
        Observations with positions.
    covariates : CovariateTable
        All its covariates are sampled, each from the row that holds for the observation's date.
    date_field : str
        The date of a row; may be absent where every covariate is static.
    method : {"table", "nearest", "bilinear"}
        "table" takes each row's own resampling: cubic is read bilinear, an average as its cell. A
        point whose nearest cell is missing is missing, other missing neighbours lose their weight.
    progress : Progress, optional
        Hears how many rows and values are missing, per reason and covariate.

    Returns
    -------
    matched, unmatched : Table
        Rows with at least one covariate; and the others with a field ``reason``: no point, no
        date, outside every raster, or no covariate.

    Raises
    ------
    InputError
        For an unknown method or field, ambiguous covariates, or when no row is matched.
    """
    progress = progress or Progress()
    if method not in (TABLE_METHOD, *METHODS):
        raise InputError(
            f"The method '{method}' is unknown.", f"Use one of table, {', '.join(METHODS)}."
        )
    covariates.check()
    if not len(table):
        raise InputError("The observation layer has no rows.", "Choose another layer.")
    has_point = np.isfinite(table.x) & np.isfinite(table.y)
    days, has_date = _days(table, covariates, date_field)
    usable = has_point & has_date
    if usable.any() and not table.crs:
        raise InputError(
            "The observation layer has no coordinate reference system.",
            "Assign one (Layer Properties, Source).",
        )
    values, outside = _sample(table, covariates, days, usable, method, progress)
    found = np.isfinite(values).any(axis=1)
    reason = np.full(len(table), "", dtype=object)
    reason[usable & ~found] = _NO_COVARIATE
    reason[outside] = _OUTSIDE
    reason[~has_date] = _NO_DATE
    reason[~has_point] = _NO_POINT
    _report_rows(reason, progress)
    if not found.any():
        raise InputError(
            f"No row of the {len(table)} has a covariate: {_counted(reason)}.",
            "Check the coordinate reference systems of the observations and of the rasters, and "
            "the dates of the covariate table.",
        )
    names = covariates.names
    plain = _without_namesakes(table, names, date_field, progress)
    matched = plain.take(found).with_columns(
        {name: values[found, position] for position, name in enumerate(names)}
    )
    _report_missing(matched, names, progress)
    unmatched = table.take(~found).with_columns({REASON_FIELD: reason[~found]})
    return matched, unmatched


def _days(
    table: Table, covariates: CovariateTable, date_field: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the dates and where a row has one, or need not have one."""
    all_static = all(row.is_static for row in covariates.rows)
    if all_static and not table.has(date_field):
        return np.full(len(table), np.datetime64("NaT"), "datetime64[D]"), np.ones(
            len(table), dtype=bool
        )
    days = table.dates(date_field)
    return days, ~np.isnat(days)


def _sample(
    table: Table,
    covariates: CovariateTable,
    days: np.ndarray,
    usable: np.ndarray,
    method: str,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Return values (rows, covariates), and which rows asked rasters but lie in none."""
    names = covariates.names
    values = np.full((len(table), len(names)), np.nan)
    asking = np.zeros(len(table), dtype=bool)
    touched = np.zeros(len(table), dtype=bool)
    jobs = _jobs(covariates, days, usable)
    by_path: dict[Path, list[tuple[CovariateRow, np.ndarray]]] = {}
    for row, members in jobs:
        by_path.setdefault(covariates.path_of(row), []).append((row, members))
    columns = {name: position for position, name in enumerate(names)}
    for done, (path, asked) in enumerate(by_path.items()):
        progress.step(done / len(by_path))
        members = np.unique(np.concatenate([rows for _, rows in asked]))
        places = np.column_stack([table.x[members], table.y[members]])
        unique, place_of = np.unique(places, axis=0, return_inverse=True)
        methods = [
            _AT_POINTS[row.resampling] if method == TABLE_METHOD else method for row, _ in asked
        ]
        sampled, inside = sample_bands(
            path,
            [row.band for row, _ in asked],
            unique[:, 0],
            unique[:, 1],
            table.crs,
            methods,
            progress=progress,
        )
        place_of = place_of.reshape(-1)
        asking[members] = True
        touched[members] |= inside[place_of]
        for band, (row, rows) in enumerate(asked):
            at = place_of[np.searchsorted(members, rows)]
            values[rows, columns[row.covariate]] = sampled[band, at]
    progress.step(1.0)
    return values, asking & ~touched


def _jobs(
    covariates: CovariateTable, days: np.ndarray, usable: np.ndarray
) -> list[tuple[CovariateRow, np.ndarray]]:
    """Return each table row that is asked, with the observations that ask it."""
    asked: dict[CovariateRow, list[np.ndarray]] = {}
    members = np.flatnonzero(usable)
    order = members[np.argsort(days[members], kind="stable")]
    unique, first = np.unique(days[order], return_index=True)
    for day, rows in zip(unique, np.split(order, first[1:])):
        at = None if np.isnat(day) else date.fromisoformat(str(day))
        for row in covariates.select(covariates.names, at).values():
            if row is not None:
                asked.setdefault(row, []).append(rows)
    return [(row, np.sort(np.concatenate(rows))) for row, rows in asked.items()]


def _without_namesakes(
    table: Table, names: tuple[str, ...], date_field: str, progress: Progress
) -> Table:
    """Drop fields that a covariate replaces, also where they differ in case alone."""
    lower = {name.lower(): name for name in names}
    if date_field.lower() in lower:
        raise InputError(
            f"The covariate '{lower[date_field.lower()]}' bears the name of the date field.",
            "Rename the band or the file.",
        )
    same = [field for field in table.names if field.lower() in lower]
    for field in same:
        progress.info(f"The field '{field}' is replaced by the covariate of that name.")
    return table.without(same)


def _report_rows(reason: np.ndarray, progress: Progress) -> None:
    left = int((reason != "").sum())
    progress.info(f"{len(reason) - left} of {len(reason)} rows have covariates.")
    if left:
        progress.warn(f"{left} of {len(reason)} rows are left out: {_counted(reason)}.")


def _counted(reason: np.ndarray) -> str:
    why, counts = np.unique([text for text in reason if text], return_counts=True)
    return ", ".join(f"{count} {text}" for text, count in zip(why, counts))


def _report_missing(matched: Table, names: tuple[str, ...], progress: Progress) -> None:
    missing = {name: int(np.isnan(matched.columns[name]).sum()) for name in names}
    some = {name: count for name, count in missing.items() if count}
    if some:
        listed = ", ".join(f"{name} {count}" for name, count in some.items())
        progress.warn(f"Missing values among the {len(matched)} rows, per covariate: {listed}.")
    empty = [name for name, count in missing.items() if count == len(matched)]
    if empty:
        progress.warn(f"Without any value: {', '.join(empty)}. Check rasters and dates.")
