"""Import of station readings: files in, one observation layer of daily means out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..joining import check_station_field, join_stations, with_station_fields
from ..station_names import name_apart, tell_places
from ..table import Table
from ..times import read_period, read_timezone
from .csv_layout import ColumnNames
from .csv_readings import read_readings
from .daily_means import daily_means
from .ismn import read_ismn
from .ismn_archive import holds_ismn
from .readings import Readings
from .screening import check_rules, screened
from .screening_drops import Drops
from .screening_limits import Limits, plausible, within_depth, within_period

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
    temperature_columns: str = "",
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
    quality_flags: str = "G",
    moisture_max: float = 1.0,
    screening: Sequence[str] = ("frozen",),
    crs: str = "EPSG:4326",
    timezone: str = "UTC",
    units: str = "m3m3",
    drops: Drops | None = None,
    progress: Progress = _SILENT,
) -> Table:
    """Import readings as an observation layer of daily means, sorted by station and date.

    Parameters
    ----------
    source : Path
        An ISMN archive: a folder, zip archive or .stm file; or a delimited file (.csv, .txt,
        also .gz), or a folder or zip archive of such.
    format : {'auto', 'ismn', 'csv'}
        auto = ISMN where there is a .stm file.
    stations : Table, optional
        Points that give positions and further fields, joined by `station_field`.
    station_column, date_column, value_columns, depth_column, network_column, x_column, y_column
        Columns of delimited files; empty = found by header. `value_columns`: one name,
        ``name=depth;name=depth`` for a column a depth, or ``*`` for a column a station.
    temperature_columns : str
        Soil temperature, °C, of delimited files, as `value_columns`; empty = none.
    depth_min, depth_max : float
        Depths in m, positive down, that hold a sensor's whole range, ends included.
    start, end : date, optional
        First and last day.
    season : str
        Part of every year, such as ``03-01/10-01``, both ends included; empty = the whole.
    min_readings : int
        Fewest readings of a day.
    quality_flags : str
        Quality flags of ISMN that are taken, joined by ``;``; empty = all.
    moisture_max : float
        Largest possible moisture, m³ m⁻³.
    screening : sequence of {'frozen', 'spikes', 'flat'}
        What is looked for and left out.
    crs : str
        CRS of the columns x and y; `stations` bring their own, ISMN's are EPSG:4326.
    timezone : str
        IANA name of the zone of times without offset; days are cut in UTC. ISMN's are in UTC.
    units : {'m3m3', 'percent'}
    drops : Drops, optional
        Takes what is left out, sensor by sensor.

    Raises
    ------
    InputError
        When the source cannot be read as said, or nothing is left of it.
    """
    if format not in FORMATS:
        raise InputError(f"FORMAT '{format}' is not one of {', '.join(FORMATS)}.")
    if units not in UNITS:
        raise InputError(f"UNITS '{units}' is not one of {', '.join(UNITS)}.")
    if stations is not None:
        check_station_field(stations, station_field)
    period = read_period(start, end, season)
    zone = read_timezone(timezone)
    limits = Limits(depth_min, depth_max, moisture_max, check_rules(screening), period, units)
    drops = Drops() if drops is None else drops
    fields: dict[tuple[str, str], dict[str, str]] = {}
    if format == "ismn" or (format == "auto" and holds_ismn(source, progress)):
        part = progress.part(0, 0.85)
        readings, fields = read_ismn(source, limits, quality_flags, drops, part)
        crs = "EPSG:4326"
    else:
        names = ColumnNames(
            station=station_column,
            date=date_column,
            values=value_columns,
            temperature=temperature_columns,
            depth=depth_column,
            network=network_column,
            x=x_column,
            y=y_column,
        )
        readings = read_readings(source, names, zone, drops, progress.part(0, 0.8))
        readings = _kept(readings, limits, drops, progress.part(0.8, 0.85))
    table = daily_means(readings, min_readings, crs, drops, progress)
    progress.step(0.95)
    table = with_station_fields(table, fields)
    if stations is not None:
        table = join_stations(table, stations, station_field, progress)
    _check_positions(table, progress)
    tell_places(table, progress)
    table = name_apart(table, progress)
    _tell_result(table, progress)
    progress.report(1)
    return table


def _kept(readings: Readings, limits: Limits, drops: Drops, progress: Progress) -> Readings:
    readings = within_depth(readings, limits.depth_min, limits.depth_max, drops, progress)
    readings = plausible(readings, limits.units, limits.highest, drops, progress)
    progress.step(0.5)
    readings = screened(readings, limits.rules, drops, progress)
    return within_period(readings, limits.period, drops, progress)


def _check_positions(table: Table, progress: Progress) -> None:
    known = np.isfinite(table.x) & np.isfinite(table.y)
    stations = table.text("station")
    lost = sorted(set(stations[~known]))
    if lost:
        shown = ", ".join(lost[:10]) + (" …" if len(lost) > 10 else "")
        cure = "" if known.any() else " Give STATIONS that hold it, or X_COLUMN and Y_COLUMN."
        progress.warn(f"{len(lost)} stations have no position: {shown}.{cure}")
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
    stations = set(table.text("station"))
    progress.info(
        f"{len(table)} station-days of {len(stations)} stations, {days.min()} to {days.max()}."
    )
