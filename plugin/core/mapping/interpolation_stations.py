"""One value for each place of a station, on a day or over a period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ..errors import InputError
from ..progress import Progress
from ..rasters.grids import crs_name, transform_points
from ..stations.moisture import depth_range, read_target
from ..stations.table import Table
from .interpolation_distance import Metric

FEWEST = 3
MOISTURE = "moisture"
_SAME_PLACE = 0.001  # m
_MOVED = 1.0  # m
_NAMES_SHOWN = 5


@dataclass(frozen=True, eq=False)
class StationValues:
    """Means of stations, sorted by place.

    Attributes
    ----------
    names : object array (n,)
        Stations; of several at one place joined by `` + ``.
    position : float64 array (n, 2) or (n, 3)
        Coordinates of the metric.
    value : float64 array (n,)
    readings : int
        How many rows entered.
    """

    names: np.ndarray
    position: np.ndarray
    value: np.ndarray
    readings: int

    def __len__(self) -> int:
        return self.value.size


def station_values(
    table: Table,
    metric: Metric,
    *,
    field: str = MOISTURE,
    station: str | None = "station",
    date_field: str | None = "date",
    start: date | None = None,
    end: date | None = None,
    progress: Progress | None = None,
) -> StationValues:
    """Average readings by station, and stations by place.

    Parameters
    ----------
    table : Table
        The observation layer.
    metric : Metric
        Of the grid; positions are brought to its system.
    field : str
        Values; a field `moisture` is checked for percent and missing codes.
    station : str, optional
        Field that names the stations, beside `network` where there is one; without it every
        place is a station.
    date_field : str, optional
        Days of the readings; needed where `start` or `end` is given.
    start, end : date, optional
        First and last day, ends included; None is open.
    progress : Progress, optional
        Hears of rows left out, stations that move and stations at one place.

    Raises
    ------
    InputError
        For no reading on these days, and for fewer than 3 places.
    """
    progress = progress or Progress()
    if not table.crs:
        raise InputError("The observations have no points.", "Choose a point layer.")
    kept = _within(table, date_field, start, end)
    values = _values(table, field, kept, progress)
    used = kept & np.isfinite(values)
    position = _positions(table, metric, used, progress)
    placed = used & np.isfinite(position).all(axis=1)
    _tell_lost(kept, used, placed, field, progress)
    depth_range(table, placed, progress)
    rows = np.flatnonzero(placed)
    names = _names(table, station, rows)
    means = _by_station(names, position[rows], values[rows], progress)
    found = _by_place(*means, progress)
    if len(found[0]) < FEWEST:
        raise InputError(
            f"Only {len(found[0])} stations have a value{_period(start, end)}; at least {FEWEST} "
            "are needed.",
            "Choose a day with more readings, or a period with START and END.",
        )
    return StationValues(found[0], found[1], found[2], rows.size)


def _within(
    table: Table, date_field: str | None, start: date | None, end: date | None
) -> np.ndarray:
    """Return which rows lie on the days asked for."""
    if start is None and end is None:
        return np.ones(len(table), dtype=bool)
    if not date_field:
        raise InputError(
            "A day is given, but no field with the dates of the readings.", "Choose DATE_FIELD."
        )
    if start and end and end < start:
        raise InputError(
            f"END ({end.isoformat()}) lies before START ({start.isoformat()}).",
            "Give START first.",
        )
    days = table.dates(date_field)
    kept = ~np.isnat(days)
    known = days[kept]
    if start is not None:
        kept &= days >= np.datetime64(start)
    if end is not None:
        kept &= days <= np.datetime64(end)
    if not kept.any():
        span = f"The readings run from {known.min()} to {known.max()}." if known.size else ""
        raise InputError(f"There is no reading{_period(start, end)}.", span)
    return np.asarray(kept)


def _values(table: Table, field: str, kept: np.ndarray, progress: Progress) -> np.ndarray:
    if field == MOISTURE:
        return read_target(table, field, kept, progress)
    return table.numeric(field)


def _positions(table: Table, metric: Metric, used: np.ndarray, progress: Progress) -> np.ndarray:
    x, y = np.full(len(table), np.nan), np.full(len(table), np.nan)
    x[used], y[used] = transform_points(table.crs, metric.crs, table.x[used], table.y[used])
    if used.any() and not np.isfinite(x[used]).any():
        raise InputError(
            "No observation has a point with a place in the grid's coordinate reference system, "
            f"{crs_name(metric.crs)}.",
            "Check the points and their coordinate reference system.",
        )
    return metric.coordinates(x, y)


def _tell_lost(
    kept: np.ndarray, used: np.ndarray, placed: np.ndarray, field: str, progress: Progress
) -> None:
    empty, nowhere = int((kept & ~used).sum()), int((used & ~placed).sum())
    if empty:
        progress.info(f"{empty} rows are left out: no value in the field '{field}'.")
    if nowhere:
        progress.warn(f"{nowhere} rows are left out: they have no point.")


def _names(table: Table, station: str | None, rows: np.ndarray) -> np.ndarray:
    """Return what tells stations apart: network and station, else the place."""
    if station:
        names = table.text(station)[rows]
        if table.has("network"):
            networks = table.text("network")[rows]
            several = len(set(zip(networks, names))) > len(set(names))
            if several:
                names = np.array([f"{n}/{s}" for n, s in zip(networks, names)], dtype=object)
    else:
        names = np.full(rows.size, "", dtype=object)
    places = [f"{x:.10g}, {y:.10g}" for x, y in zip(table.x[rows], table.y[rows])]
    filled = [name or place for name, place in zip(names, places)]
    return np.array(filled, dtype=object)


def _by_station(
    names: np.ndarray, position: np.ndarray, values: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average the readings of each station, and its place where it moves."""
    order = np.lexsort((values, *position.T, names.astype(str)))
    unique, code = np.unique(names[order].astype(str), return_inverse=True)
    count = np.bincount(code)
    value = np.bincount(code, values[order]) / count
    first = np.searchsorted(code, np.arange(unique.size))
    start = position[order][first]
    shift = position[order] - start[code]
    mean = np.column_stack([np.bincount(code, axis) / count for axis in shift.T])
    spread = np.zeros(unique.size)
    np.maximum.at(spread, code, np.linalg.norm(shift, axis=1))
    moved = [str(name) for name in unique[spread > _MOVED]]
    if moved:
        progress.warn(
            f"{len(moved)} stations lie at several places, up to {spread.max():.4g} m apart; the "
            f"mean of them is used: {_some(moved)}."
        )
    return unique.astype(object), start + mean, value


def _by_place(
    names: np.ndarray, position: np.ndarray, value: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average the stations that stand at one place, to a millimetre; sort by place."""
    cell = np.round(position / _SAME_PLACE).astype(np.int64)
    _, first, code = np.unique(cell, axis=0, return_index=True, return_inverse=True)
    code = code.ravel()
    count = np.bincount(code)
    joined = np.array(
        [" + ".join(names[code == place]) if count[place] > 1 else names[first[place]]
         for place in range(count.size)],
        dtype=object,
    )  # fmt: skip
    shared = [str(name) for name in joined[count > 1]]
    if shared:
        progress.warn(f"Stations at one place are averaged: {_some(shared)}.")
    return joined, position[first], np.bincount(code, value) / count


def _period(start: date | None, end: date | None) -> str:
    if start is None and end is None:
        return ""
    if start == end and start is not None:
        return f" on {start.isoformat()}"
    first = f" from {start.isoformat()}" if start else ""
    return first + (f" until {end.isoformat()}" if end else "")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
