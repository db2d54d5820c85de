"""The rows a model is trained, spiked or judged with, taken from a training table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .covariate_fields import (
    candidate_covariates,
    check_covariates,
    check_twins,
    read_covariates,
)
from .moisture import depth_range, read_target
from .roles import rows_of_roles
from .row_stations import tell_stations
from .table import Table
from .times import observation_days

_SILENT = Progress()
_NAMES_SHOWN = 10


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Complete rows in canonical order: by station, date, then every other value.

    The order depends neither on that of the table nor on that of the covariates.

    Parameters
    ----------
    X : float32 (n, p)
        Covariates, in the order of `covariates`; never NaN.
    y : float64 (n,)
        Target in m³ m⁻³.
    station, network : object (n,)
        Texts; a station is never empty, a network '' where there is none.
    date : datetime64[D] (n,)
        NaT where there is none.
    weight : float64 (n,)
        Positive; 1 where the table gives none.
    fold : int64 (n,)
        −1 where the table gives none.
    classes : dict of str to object (n,)
        Class fields to report by; '' for missing.
    x, y_coord : float64 (n,)
        Position in `crs` (WKT); NaN where there is none.
    covariates : tuple of str
        Names, sorted.
    depth : (float, float) or None
        From the shallowest to the deepest end of the readings, m, positive down.
    dropped : dict of str to int
        Rows left out because a covariate was missing; a row may count for several.
    row : int64 (n,)
        Index of each row in the table it came from.
    """

    X: np.ndarray
    y: np.ndarray
    station: np.ndarray
    network: np.ndarray
    date: np.ndarray
    weight: np.ndarray
    fold: np.ndarray
    classes: dict[str, np.ndarray]
    x: np.ndarray
    y_coord: np.ndarray
    crs: str
    covariates: tuple[str, ...]
    depth: tuple[float, float] | None
    dropped: dict[str, int]
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> TrainingRows:
        """Return the rows of a mask or of an index array, in that order."""
        taken: dict[str, Any] = {
            item.name: getattr(self, item.name)[rows]
            for item in fields(self)
            if isinstance(getattr(self, item.name), np.ndarray)
        }
        taken["classes"] = {name: values[rows] for name, values in self.classes.items()}
        return replace(self, **taken)


def training_rows(
    table: Table,
    *,
    target: str = "moisture",
    station: str = "station",
    date: str = "date",
    covariates: Sequence[str] | None = None,
    groups: Sequence[str] = (),
    weight_field: str | None = None,
    roles: Sequence[str] | None = None,
    exclude_fields: Iterable[str] = (),
    text_numbers: bool = True,
    use_folds: bool = True,
    min_stations: int = 2,
    progress: Progress = _SILENT,
) -> TrainingRows:
    """Take complete rows from a training table, in canonical order.

    Rows without a target or a station are left out and counted: a station groups the rows that
    must not be torn apart, so a row without one could be in no fold.

    Parameters
    ----------
    covariates : sequence of str, optional
        Fields; None or empty = `candidate_covariates`.
    weight_field : str, optional
        Relative chance of a row in a bootstrap draw; where left out, a field `weight`.
    roles : sequence of str, optional
        Roles to keep; None or empty = all. A row without a role is of role ``train``.
    exclude_fields : iterable of str
        Fields that are no covariates because other parameters name them.
    text_numbers : bool
        Whether text fields that parse as numbers are candidate covariates (tables from CSV).
    use_folds : bool
        Whether a field `fold` is read.
    min_stations : int
        Fewest stations needed.

    Raises
    ------
    InputError
        When a field is missing, holds text or percent or is the target in other units, when no
        row is of the roles or complete, or when there are too few stations.
    """
    for name in (target, station, *groups):
        table.column(name)
    names = sorted(covariates or ())
    if not names:
        used = [target, station, date, *groups, *exclude_fields, weight_field or ""]
        names = candidate_covariates(table, used, text_numbers=text_numbers)
    check_covariates(table, names, (target, station, weight_field or "weight"))
    progress.info(f"Covariates: {'; '.join(names)}.")
    kept = rows_of_roles(table, roles)
    y = read_target(table, target, kept, progress)
    stations = table.text(station)
    known = _known_rows(kept, y, stations, target, station, progress)
    X = read_covariates(table, names, known, progress)
    complete, dropped = _complete_rows(X, known, names, progress)
    check_twins(X[complete], y[complete], names, target)
    rows = TrainingRows(
        X=X,
        y=y,
        station=stations,
        network=_network(table),
        date=_days(table, date, kept, progress),
        weight=_weights(table, complete, weight_field, progress),
        fold=_folds(table, known, complete, progress) if use_folds else _no_folds(len(table)),
        classes={name: table.text(name) for name in groups},
        x=table.x,
        y_coord=table.y,
        crs=table.crs,
        covariates=tuple(names),
        depth=depth_range(table, complete, progress),
        dropped=dropped,
        row=np.arange(len(table)),
    ).take(complete)
    _check_stations(rows, min_stations, station)
    rows = rows.take(canonical_order(rows))
    _tell_repeats(rows, progress)
    place = (rows.x, rows.y_coord, rows.crs)
    tell_stations(rows.station, rows.fold, place, station, progress)
    return rows


def concat(first: TrainingRows, second: TrainingRows) -> TrainingRows:
    """Return the rows of `first`, then those of `second`, in the CRS of `first`.

    Class fields that one of them lacks are '' there.

    Raises
    ------
    InputError
        When the covariates differ.
    """
    if first.covariates != second.covariates:
        differing = sorted(set(first.covariates) ^ set(second.covariates))
        raise InputError(f"The rows differ in the covariates {', '.join(differing)}.")
    x, y_coord = _coordinates_in(second, first.crs)
    joined: dict[str, Any] = {
        item.name: np.concatenate([getattr(first, item.name), getattr(second, item.name)])
        for item in fields(first)
        if isinstance(getattr(first, item.name), np.ndarray)
    }
    joined["x"] = np.concatenate([first.x, x])
    joined["y_coord"] = np.concatenate([first.y_coord, y_coord])
    joined["classes"] = {
        name: np.concatenate([_class_of(first, name), _class_of(second, name)])
        for name in dict.fromkeys([*first.classes, *second.classes])
    }
    depths = [depth for depth in (first.depth, second.depth) if depth is not None]
    names = {**first.dropped, **second.dropped}
    return replace(
        first,
        **joined,
        crs=first.crs or second.crs,
        depth=(min(d[0] for d in depths), max(d[1] for d in depths)) if depths else None,
        dropped={n: first.dropped.get(n, 0) + second.dropped.get(n, 0) for n in names},
    )


def canonical_order(rows: TrainingRows) -> np.ndarray:
    """Return the index (n,) that sorts rows by station, date, then every other value."""
    return np.lexsort(_sort_keys(rows)[::-1])


def _sort_keys(rows: TrainingRows) -> list[np.ndarray]:
    return [
        _codes(rows.station),
        rows.date.astype(np.int64),
        rows.y,
        *rows.X.T,
        rows.weight,
        rows.fold,
        _codes(rows.network),
        *(_codes(rows.classes[name]) for name in sorted(rows.classes)),
        rows.x,
        rows.y_coord,
    ]


def _codes(texts: np.ndarray) -> np.ndarray:
    rank = {text: index for index, text in enumerate(sorted(set(texts)))}
    return np.array([rank[text] for text in texts], dtype=np.int64)


def _days(table: Table, date: str, kept: np.ndarray, progress: Progress) -> np.ndarray:
    """Return the UTC days of the rows; NaT without the field, and outside the mask `kept`."""
    days = np.full(len(table), "NaT", dtype="datetime64[D]")
    if table.has(date):
        days[kept] = observation_days(table.take(kept), date, progress)
    return days


def _no_folds(rows: int) -> np.ndarray:
    return np.full(rows, -1, dtype=np.int64)


def _network(table: Table) -> np.ndarray:
    if table.has("network"):
        return table.text("network")
    return np.full(len(table), "", dtype=object)


def _known_rows(
    kept: np.ndarray,
    y: np.ndarray,
    stations: np.ndarray,
    target: str,
    station: str,
    progress: Progress,
) -> np.ndarray:
    """Return the mask of kept rows with target and station, and tell of the others."""
    nameless = kept & (stations == "")
    empty = kept & ~nameless & np.isnan(y)
    for mask, name in ((nameless, station), (empty, target)):
        if mask.any():
            progress.warn(f"{int(mask.sum())} rows left out: no value in the field '{name}'.")
    known = kept & ~nameless & ~empty
    if not known.any():
        raise InputError(
            f"No row has a value in both '{target}' and '{station}': of {int(kept.sum())} rows "
            f"{int(nameless.sum())} have none in '{station}', {int((kept & np.isnan(y)).sum())} "
            f"none in '{target}'.",
            "Choose the fields of moisture and of stations, or fill them.",
        )
    return known


def _complete_rows(
    X: np.ndarray, known: np.ndarray, names: Sequence[str], progress: Progress
) -> tuple[np.ndarray, dict[str, int]]:
    """Return the mask of rows without a gap and the gaps per covariate, and tell of them."""
    gaps = np.isnan(X) & known[:, None]
    dropped = {name: int(n) for name, n in zip(names, gaps.sum(axis=0)) if n}
    complete = known & ~gaps.any(axis=1)
    listed = ", ".join(f"{name} {n}" for name, n in dropped.items())
    if not complete.any():
        raise InputError(
            f"None of the {int(known.sum())} rows is complete; rows missing per covariate: "
            f"{listed}.",
            "Sample them from rasters of these places and days, or train without those that are "
            "empty.",
        )
    if dropped:
        progress.warn(
            f"{int(known.sum() - complete.sum())} of {int(known.sum())} rows left out because a "
            f"covariate is missing there: {listed}."
        )
    return complete, dropped


def _weights(
    table: Table, used: np.ndarray, weight_field: str | None, progress: Progress
) -> np.ndarray:
    """Return the row weights; a field `weight` without any value counts as none."""
    name = weight_field or ("weight" if table.has("weight") else "")
    if not name:
        return np.ones(len(table))
    weights = table.numeric(name)
    if not weight_field and np.isnan(weights[used]).all():
        return np.ones(len(table))
    wrong = used & ~(weights > 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{int(wrong.sum())} rows have no positive weight in the field '{name}', the first is "
            f"row {row + 1} ({weights[row]:g}).",
            "Weights must be above 0; leave out rows that should not count.",
        )
    progress.info(f"Row weights come from the field '{name}'.")
    return weights


def _folds(table: Table, known: np.ndarray, complete: np.ndarray, progress: Progress) -> np.ndarray:
    """Return the folds of a filled field `fold`, else −1; a fold without complete rows is told."""
    if not table.has("fold"):
        return _no_folds(len(table))
    folds = table.numeric("fold")
    empty = complete & np.isnan(folds)
    if empty.sum() == complete.sum():
        return _no_folds(len(table))
    if empty.any():
        raise InputError(
            f"The field 'fold' is empty in {int(empty.sum())} of {int(complete.sum())} rows.",
            "Fill it in every row, or empty it in all to have folds drawn.",
        )
    broken = complete & (folds != np.round(folds))
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        raise InputError(f"The fold {folds[row]:g} in row {row + 1} is not a whole number.")
    left = np.unique(folds[complete])
    lost = [f"{fold:g}" for fold in np.unique(folds[known & ~np.isnan(folds)]) if fold not in left]
    if len(left) < 2:
        others = f"; no row of fold {', '.join(lost)} is complete" if lost else ""
        raise InputError(
            f"The field 'fold' holds one fold only ({left[0]:g}){others}.",
            "Give at least two folds, or empty the field.",
        )
    if lost:
        progress.warn(
            f"No row of fold {', '.join(lost)} is complete, so {len(left)} of "
            f"{len(left) + len(lost)} folds are left."
        )
    return np.where(np.isnan(folds), -1, folds).astype(np.int64)


def _check_stations(rows: TrainingRows, fewest: int, station: str) -> None:
    stations = sorted(set(rows.station))
    if len(stations) < fewest:
        shown = ", ".join(stations[:_NAMES_SHOWN])
        raise InputError(
            f"The field '{station}' names {len(stations)} station ({shown}) in complete rows, but "
            f"at least {fewest} are needed.",
            "Choose the field that tells the stations apart, or add stations.",
        )


def _tell_repeats(rows: TrainingRows, progress: Progress) -> None:
    """Say how many rows, in canonical order, share station and day or every value."""
    station, day, *others = [np.nan_to_num(key) for key in _sort_keys(rows)]
    same_day = (station[1:] == station[:-1]) & (day[1:] == day[:-1]) & ~np.isnat(rows.date[1:])
    if same_day.any():
        progress.info(
            f"{int(same_day.sum())} rows are further rows of a station on a day it already has."
        )
    repeats = (station[1:] == station[:-1]) & (day[1:] == day[:-1])
    for values in others:
        repeats &= values[1:] == values[:-1]
    if repeats.any():
        progress.warn(
            f"{int(repeats.sum())} rows repeat another row in every value; they are kept."
        )


def _coordinates_in(rows: TrainingRows, crs: str) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(rows.x) & np.isfinite(rows.y_coord)
    if not crs or not rows.crs or crs == rows.crs or not known.any():
        return rows.x, rows.y_coord
    from ..rasters.grids import transform_points

    x, y = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    x[known], y[known] = transform_points(rows.crs, crs, rows.x[known], rows.y_coord[known])
    return x, y


def _class_of(rows: TrainingRows, name: str) -> np.ndarray:
    return rows.classes.get(name, np.full(len(rows), "", dtype=object))
