"""Import of station readings: files in, one observation layer of daily means out."""

from __future__ import annotations

import zipfile
from datetime import date, tzinfo
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .csv_layout import ColumnNames
from .csv_readings import read_readings
from .joining import join_stations
from .readings import Readings, daily_means, plausible, within_depth
from .table import Table
from .times import parse_season, read_timezone

FORMATS = ("auto", "ismn", "csv")
UNITS = ("m3m3", "percent")

_SILENT = Progress()


def import_stations(
    source: Path,
    *,
    format: str = "auto",
    stations: Table | None = None,
    station_field: str = "station",
    station_column: str = "",
    date_column: str = "",
    value_columns: str = "",
    depth_column: str = "",
    network_column: str = "",
    x_column: str = "",
    y_column: str = "",
    depth_min: float = 0.0,
    depth_max: float = 0.05,
    start: date | None = None,
    end: date | None = None,
    season: str = "",
    min_readings: int = 1,
    crs: str = "EPSG:4326",
    timezone: str = "UTC",
    units: str = "m3m3",
    progress: Progress = _SILENT,
) -> Table:
    """Import readings as an observation layer of daily means, sorted by station and date.

    Parameters
    ----------
    source : Path
        A delimited file (.csv, .txt, also .gz), or a folder or zip archive of such.
    stations : Table, optional
        Points that give positions and further fields, joined by `station_field`.
    station_column, date_column, value_columns, depth_column, network_column, x_column, y_column
        Columns; empty = found by header. `value_columns`: one name, ``name=depth;name=depth``
        for a column a depth, or ``*`` for a column a station.
    depth_min, depth_max : float
        Depths in m, positive down, that hold a sensor's whole range, ends included.
    start, end : date, optional
        First and last day.
    season : str
        Part of every year, such as ``03-01/10-01``, both ends included; empty = the whole.
    min_readings : int
        Fewest readings of a day.
    crs : str
        CRS of the columns x and y; `stations` bring their own.
    timezone : str
        IANA name of the zone of times without offset; days are cut in UTC.
    units : {'m3m3', 'percent'}

    Raises
    ------
    InputError
        When the source cannot be read as said, or nothing is left of it.
    """
    if format not in FORMATS:
        raise InputError(f"FORMAT '{format}' is not one of {', '.join(FORMATS)}.")
    if units not in UNITS:
        raise InputError(f"UNITS '{units}' is not one of {', '.join(UNITS)}.")
    period = _Period(start, end, season)
    zone: tzinfo = read_timezone(timezone)
    if format == "ismn" or (format == "auto" and _looks_like_ismn(source)):
        raise InputError(
            f"'{source.name}' is to be read as an ISMN archive, which this version cannot.",
            "Convert it to CSV.",
        )
    names = ColumnNames(
        station=station_column,
        date=date_column,
        values=value_columns,
        depth=depth_column,
        network=network_column,
        x=x_column,
        y=y_column,
    )
    readings = read_readings(source, names, zone, progress.part(0, 0.8))
    readings = within_depth(readings, depth_min, depth_max, progress)
    readings = plausible(readings, units, progress)
    progress.step(0.85)
    readings = period.cut(readings, progress)
    table = daily_means(readings, min_readings, crs, progress)
    progress.step(0.95)
    if stations is not None:
        table = join_stations(table, stations, station_field, progress)
    _check_positions(table, progress)
    _tell_result(table, progress)
    progress.report(1)
    return table


class _Period:
    """The days that are wanted."""

    def __init__(self, start: date | None, end: date | None, season: str) -> None:
        if start and end and start > end:
            raise InputError(f"START {start} is after END {end}.")
        self.start, self.end, self.text = start, end, season
        self.season = parse_season(season)

    def cut(self, readings: Readings, progress: Progress) -> Readings:
        """Keep the readings of these days; the others are counted."""
        days = readings.day
        kept = np.ones(len(days), dtype=bool)
        if self.start:
            kept &= days >= np.datetime64(self.start, "D")
        if self.end:
            kept &= days <= np.datetime64(self.end, "D")
        if self.season:
            kept &= self.season.holds(days)
        if not kept.any():
            limits = {"START": self.start, "END": self.end, "SEASON": self.text}
            named = ", ".join(f"{name} {value}" for name, value in limits.items() if value)
            raise InputError(
                f"No reading lies within {named}; the readings are of {days.min()} to "
                f"{days.max()}.",
                "Choose other days.",
            )
        if not kept.all():
            progress.info(f"{int((~kept).sum())} readings outside the days wanted are left out.")
        return readings.take(kept)


def _looks_like_ismn(source: Path) -> bool:
    """Whether a folder or zip archive holds ISMN's .stm files."""
    if source.is_dir():
        return any(source.rglob("*.stm"))
    if source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            return any(name.lower().endswith(".stm") for name in archive.namelist())
    return source.suffix.lower() == ".stm"


def _check_positions(table: Table, progress: Progress) -> None:
    known = np.isfinite(table.x) & np.isfinite(table.y)
    stations = table.text("station")
    lost = sorted(set(stations[~known]))
    if lost:
        shown = ", ".join(lost[:10]) + (" …" if len(lost) > 10 else "")
        progress.warn(f"{len(lost)} stations have no position: {shown}.")
    geographic = table.crs.upper() == "EPSG:4326" or table.crs.startswith(("GEOGCRS", "GEOGCS"))
    wrong = known & ((np.abs(table.x) > 360) | (np.abs(table.y) > 90))
    if geographic and wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"Station '{stations[place]}' lies at {table.x[place]:g}, {table.y[place]:g}, which "
            "are no degrees.",
            "Set CRS to that of the coordinates, or swap X_COLUMN and Y_COLUMN.",
        )


def _tell_result(table: Table, progress: Progress) -> None:
    days = table.dates("date")
    stations = set(zip(table.text("network"), table.text("station")))
    names = {name for _, name in stations}
    if len(names) < len(stations):
        progress.warn(
            f"{len(stations) - len(names)} stations of different networks share a name: give each "
            "its own before splitting."
        )
    progress.info(
        f"{len(table)} station-days of {len(stations)} stations, {days.min()} to {days.max()}."
    )
