"""Series in NetCDF files: their variables, days and grid, read by GDAL."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from affine import Affine

from ..errors import RasterError
from .containers import NETCDF, array_names, open_array, open_container, read_values
from .grids import Grid, Window, crs_text
from .netcdf_size import check_complete

MOISTURE_NAMES = (
    "soil_moisture",
    "sm",
    "ssm",
    "surface_soil_moisture",
    "sm_surface",
    "swvl1",
    "volumetric_soil_moisture",
)
_SINCE = re.compile(
    r"\s*(?P<unit>[a-z]+)\s+since\s+(?P<y>\d{1,4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"(?:[T\s]+(?P<h>\d{1,2}):(?P<min>\d{1,2})(?::(?P<s>\d{1,2})(?:\.\d*)?)?)?"
    r"\s*(?:UTC|Z|GMT|[+-]0?0:?00)?\s*",
    re.IGNORECASE,
)
_SECONDS = {
    "second": 1, "seconds": 1, "sec": 1, "secs": 1, "s": 1,
    "minute": 60, "minutes": 60, "min": 60, "mins": 60,
    "hour": 3600, "hours": 3600, "hr": 3600, "hrs": 3600, "h": 3600,
    "day": 86400, "days": 86400, "d": 86400,
}  # fmt: skip
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_TURN = 360.0


@dataclass(frozen=True)
class NetcdfSeries:
    """A variable of a NetCDF file as rasters over time.

    Parameters
    ----------
    path : Path
    variable : str
    units : str
        As the file says; empty where it does not.
    grid : Grid
        North up, longitudes from −180 on.
    roll : int
        How many of the file's columns lie beyond 180°: they are read before the others.
    times : tuple of (datetime or None)
        Of each band, UTC; None where the file has no time axis.
    others : tuple of str
        The file's other variables.
    """

    path: Path
    variable: str
    units: str
    grid: Grid
    roll: int
    times: tuple[datetime | None, ...]
    others: tuple[str, ...]


class NetcdfReader:
    """An open variable; a context manager."""

    def __init__(self, series: NetcdfSeries) -> None:
        self._series = series
        self._dataset = open_array(series.path, NETCDF, series.variable)

    def __enter__(self) -> NetcdfReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dataset.close()

    def read(self, bands: list[int], window: Window) -> np.ndarray:
        """Read bands (from 1) as float64, shape (bands, rows, columns), NaN missing."""
        width, roll = self._series.grid.width, self._series.roll
        if not roll:
            return read_values(self._dataset, bands, window)
        values = np.empty((len(bands), window.height, window.width))
        front = Window(0, window.row, roll, window.height)
        rest = Window(roll, window.row, width - roll, window.height)
        for columns, first in ((front, width - roll), (rest, 0)):
            part = columns.overlap(window)
            if part is not None:
                source = part.shifted(first - columns.col, 0)
                own = part.shifted(-window.col, 0).slices[1]
                values[:, :, own] = read_values(self._dataset, bands, source)
        return values


def describe_netcdf(path: str | Path, variable: str = "") -> NetcdfSeries:
    """Read the grid and the days of a variable.

    Parameters
    ----------
    path : str or Path
        A local file.
    variable : str
        Its name; empty = one of the usual names of soil moisture, or the only one there is.

    Raises
    ------
    RasterError
        For files cut short, a variable that is not there or not known which, a third dimension
        beside time, a grid that is not regular, and times that cannot be read.
    """
    with open_container(path, NETCDF) as container:
        names = array_names(container)
    local = Path(path).absolute()
    check_complete(local)
    chosen = _choose(names, variable, local)
    with open_array(local, NETCDF, chosen) as dataset:
        grid, roll = _grid(dataset, local)
        return NetcdfSeries(
            local,
            chosen,
            dataset.tags(1).get("units", ""),
            grid,
            roll,
            _times(dataset, local, chosen),
            tuple(name for name in names if name != chosen),
        )


def _choose(names: list[str], wanted: str, path: Path) -> str:
    there = f"It has {', '.join(names[:20]) or 'no gridded variable'}."
    if wanted:
        exact = [name for name in names if name == wanted or name.rpartition("/")[2] == wanted]
        if not exact:
            raise RasterError(f"'{path.name}' has no variable '{wanted}'.", there)
        return exact[0]
    plain = {name.rpartition("/")[2].lower(): name for name in names}
    usual = [plain[name] for name in MOISTURE_NAMES if name in plain]
    if usual:
        return usual[0]
    if len(names) == 1:
        return names[0]
    raise RasterError(
        f"Which variable of '{path.name}' to read is not clear. {there}", "Name it in VARIABLE."
    )


def _grid(dataset: Any, path: Path) -> tuple[Grid, int]:
    transform = dataset.transform
    if transform == Affine.identity() or transform.b or transform.d:
        raise RasterError(
            f"'{path.name}' has no regular grid.",
            "Regrid it first (its cells must be evenly spaced in longitude and latitude, or x "
            "and y).",
        )
    if transform.e > 0:
        raise RasterError(
            f"'{path.name}' is stored south up and could not be turned.", "Turn it north up first."
        )
    tags = dataset.tags()
    degrees = any(
        key.endswith("#units") and value.startswith("degree") and "north" in value
        for key, value in tags.items()
    )
    if dataset.crs is None and not degrees:
        raise RasterError(
            f"'{path.name}' has no coordinate reference system.",
            "Convert it to GeoTIFF with one (Raster, Conversion, Translate).",
        )
    crs = crs_text(dataset.crs) if dataset.crs else "EPSG:4326"
    grid = Grid(crs, transform, dataset.width, dataset.height)
    return _turned(grid) if grid.is_geographic else (grid, 0)


def _turned(grid: Grid) -> tuple[Grid, int]:
    """Bring longitudes above 180° to −180 … 180: all by a shift, or some to the front."""
    t = grid.transform
    west = round((180.0 - t.c) / t.a)  # columns up to 180°, to the nearest edge
    if west <= 0:
        return Grid(grid.crs, _shifted(t, -_TURN), grid.width, grid.height), 0
    around = abs(grid.width * t.a - _TURN) < t.a / 2
    if west >= grid.width or not around:
        return grid, 0
    return Grid(grid.crs, _shifted(t, west * t.a - _TURN), grid.width, grid.height), (
        grid.width - west
    )


def _shifted(t: Affine, east: float) -> Affine:
    return Affine(t.a, t.b, t.c + east, t.d, t.e, t.f)


def _times(dataset: Any, path: Path, variable: str) -> tuple[datetime | None, ...]:
    tags = dataset.tags()
    extra = [name for name in tags.get("NETCDF_DIM_EXTRA", "").strip("{}").split(",") if name]
    time = [name for name in extra if " since " in tags.get(f"{name}#units", "")]
    labels = [dataset.tags(band) for band in range(1, dataset.count + 1)]
    for name in extra:
        if name in time[:1]:
            continue
        values = Counter(label.get(f"NETCDF_DIM_{name}") for label in labels)
        if len(values) > 1:
            raise RasterError(
                f"The variable '{variable}' of '{path.name}' has {len(values)} values of "
                f"'{name}'{'' if time else ', which is no time axis'}.",
                "Cut out one of them first (for example with cdo or ncks).",
            )
    if not time:
        return (None,) * dataset.count
    units = tags[f"{time[0]}#units"]
    calendar = tags.get(f"{time[0]}#calendar", "standard").lower()
    start, seconds = _origin(units, calendar, path)
    return tuple(
        start + timedelta(seconds=float(label[f"NETCDF_DIM_{time[0]}"]) * seconds)
        for label in labels
    )


def _origin(units: str, calendar: str, path: Path) -> tuple[datetime, int]:
    found = _SINCE.fullmatch(units)
    if found is None or found["unit"].lower() not in _SECONDS or calendar not in _CALENDARS:
        raise RasterError(
            f"The time axis of '{path.name}' is in '{units}'"
            f"{f', calendar {calendar}' if calendar not in _CALENDARS else ''}: its days cannot "
            "be read.",
            "Times must be in seconds, minutes, hours or days since a date in UTC, in the "
            "standard calendar.",
        )
    year, month, day, hour, minute, second = (
        int(found[name] or 0) for name in ("y", "m", "d", "h", "min", "s")
    )
    return datetime(year, month, day, hour, minute, second), _SECONDS[found["unit"].lower()]
