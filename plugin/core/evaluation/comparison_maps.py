"""The maps that are compared: which band, of which day, in which units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..progress import Progress
from ..rasters.grids import Grid
from ..rasters.names import (
    covariate_name,
    date_in_description,
    date_in_name,
    date_in_tag,
    is_nameless,
)
from ..rasters.paths import check_local_path
from ..rasters.reading import (
    BandInfo,
    grid_of,
    has_mask,
    nodata_value,
    open_raster,
    scale_and_offset,
)
from .comparison_statistics import PairMoments

UNITS = ("auto", "m3m3", "percent")
BOUNDS = ("moisture_q05", "moisture_q95")
_BOUNDED = ("moisture_mean", "moisture_q50")
_PERCENT = ("%", "percent", "vol%", "vol.%", "vol. %", "m3/m3*100", "percent volume")


@dataclass(frozen=True)
class MapBand:
    """A band that holds a map of moisture.

    Attributes
    ----------
    name : str
        What the reports call it: the file's name, and the band's where there are several.
    factor : float
        Turns its values into m³ m⁻³.
    day : date or None
    bounds : (int, int) or None
        Bands with the bounds of the 90 % prediction interval.
    parameter : str
        Of the algorithm, for messages.
    """

    path: Path
    band: int
    name: str
    grid: Grid
    factor: float
    day: date | None
    bounds: tuple[int, int] | None
    info: BandInfo
    parameter: str

    def info_of(self, index: int) -> BandInfo:
        """Return another band's description."""
        with open_raster(self.path) as dataset:
            return _band_info(dataset, self.path, index, self.day)


def map_band(
    path: str | Path,
    band: int = 1,
    *,
    units: str = "auto",
    day: date | None = None,
    parameter: str = "INPUT",
) -> MapBand:
    """Find out what a band shows.

    Parameters
    ----------
    path : str or Path
    band : int
        Counted from 1.
    units : {"auto", "m3m3", "percent"}
        With `auto`, percent where the band's unit says so, else m³ m⁻³.
    day : date, optional
        Of the layer, where neither band, name nor tag tells one.
    parameter : str
        How messages call the map.

    Raises
    ------
    InputError
        For a band that is not there.
    """
    local = check_local_path(path)
    with open_raster(local) as dataset:
        if not 1 <= band <= dataset.count:
            raise InputError(
                f"{parameter}: the raster '{local.name}' has no band {band}.",
                f"It has {dataset.count}.",
            )
        tag = dataset.tags().get("TIFFTAG_DATETIME")
        shown = (
            date_in_description(dataset.descriptions[band - 1])
            or date_in_name(local.stem)[0]
            or date_in_tag(tag)
            or day
        )
        info = _band_info(dataset, local, band, shown)
        several = dataset.count > 1
        bounds = _bounds(dataset.descriptions) if info.name in _BOUNDED else None
        grid = grid_of(dataset)
    percent = units == "percent" or (units == "auto" and info.units.strip().lower() in _PERCENT)
    name = f"{local.stem} ({info.name})" if several else local.stem
    factor = 0.01 if percent else 1.0
    return MapBand(local, band, name, grid, factor, shown, bounds, info, parameter)


def check_dates(first: MapBand, second: MapBand, progress: Progress) -> None:
    """Warn of maps that show different days."""
    if first.day and second.day and first.day != second.day:
        progress.warn(
            f"INPUT shows {first.day.isoformat()}, REFERENCE {second.day.isoformat()}: the "
            "difference holds what happened between these days."
        )


def check_units(maps: Sequence[MapBand], moments: PairMoments, progress: Progress) -> None:
    """Tell of maps in percent and of values that no moisture has.

    Raises
    ------
    InputError
        Where most values of a map lie above 1 m³ m⁻³.
    """
    for place, one in enumerate(maps):
        option = "UNITS" if place == 0 else "REFERENCE_UNITS"
        if one.factor != 1:
            progress.info(f"{one.parameter} is in percent: its values are divided by 100.")
        highest, lowest = float(moments.high[place]), float(moments.low[place])
        above, below = int(moments.above_one[place]), int(moments.below_zero[place])
        if 2 * above > moments.n:
            cure = f"If it is percent, choose {option} percent; else choose another band."
            if one.factor != 1:
                cure = "Choose another band, or bring its values to m³ m⁻³."
            raise InputError(
                f"{one.parameter}: {above} of {moments.n} values of '{one.name}' lie above "
                f"1 m³ m⁻³, up to {highest:g}.",
                cure,
            )
        if above:
            progress.warn(f"{one.name} has {above} values above 1 m³ m⁻³, up to {highest:g}.")
        if below:
            progress.warn(f"{one.name} has {below} values below 0 m³ m⁻³, down to {lowest:g}.")


def round_up(value: float) -> float:
    """Return the next round number that is not below a value, at least 0.001.

    Examples
    --------
    >>> round_up(0.13), round_up(0.05), round_up(0.0)
    (0.15, 0.05, 0.001)
    """
    if value <= 0.001:
        return 0.001
    power = math.floor(math.log10(value))
    steps = [float(f"{step}e{power}") for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)]
    return min(step for step in steps if step >= value * (1 - 1e-4))


def _bounds(descriptions: Sequence[str | None]) -> tuple[int, int] | None:
    places = {name: index for index, name in enumerate(descriptions, start=1) if name}
    low, high = (places.get(name) for name in BOUNDS)
    return (low, high) if low is not None and high is not None else None


def _band_info(dataset: Any, path: Path, index: int, day: date | None) -> BandInfo:
    description = dataset.descriptions[index - 1]
    scale, offset = scale_and_offset(dataset, index)
    return BandInfo(
        index=index,
        name=f"band {index}"
        if is_nameless(description)
        else covariate_name(description, path.stem),
        date=day,
        end=day,
        units=dataset.units[index - 1] or "",
        nodata=nodata_value(dataset, index),
        scale=scale,
        offset=offset,
        dtype=str(dataset.dtypes[index - 1]),
        masked=has_mask(dataset, index),
    )
