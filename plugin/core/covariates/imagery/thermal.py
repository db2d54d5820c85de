"""Day–night difference of land-surface temperature, and apparent thermal inertia."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Sequence

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Window, crs_name, same_crs
from ...rasters.styles import continuous_style
from ...rasters.workers import results_in_order
from ...rasters.writing import RasterWriter
from ..rows import listed
from ..table import RasterInput
from .sensors_bands import ProductBand, Scaling, describe_bands, describe_days
from .sensors_grids import BandReader
from .thermal_inputs import (
    UNITS,
    Temperature,
    ThermalDay,
    albedo_bands,
    albedo_on,
    albedo_scaling,
    check_albedo_dates,
    temperatures,
)

LEAST_DIFFERENCE = 1.0
"""Kelvin; where the day is not warmer than the night by more, thermal inertia is missing."""

_BLOCK = 1024
_STYLE = continuous_style(
    0.0, 40.0, colours=("#2c7bb6", "#abd9e9", "#ffffbf", "#fdae61", "#d7191c")
)


@dataclass
class ThermalTally:
    """What became of the cells of a date, or of all dates."""

    cells: int = 0
    differences: int = 0
    inertias: int = 0
    not_temperature: int = 0
    too_small: int = 0
    negative: int = 0
    not_albedo: int = 0

    def add(self, other: ThermalTally) -> None:
        """Add the counts of a date."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class _NothingLeft(Exception):
    """No cell of a date has a value: its raster is not kept."""


def thermal_inertia(difference: np.ndarray, albedo: np.ndarray) -> np.ndarray:
    """Return apparent thermal inertia, (1 − albedo)/ΔLST, in 1/K.

    Parameters
    ----------
    difference : float array
        Day–night difference of land-surface temperature in kelvin.
    albedo : float array
        Broadband albedo, 0 to 1.

    Returns
    -------
    float64 array
        NaN where either is missing and where the difference is 1 K or less, an own guard.

    References
    ----------
    Price (1977), J. Geophys. Res. 82(18), doi:10.1029/JC082i018p02582.
    """
    result = np.full(np.broadcast(difference, albedo).shape, np.nan)
    with np.errstate(invalid="ignore"):
        enough = difference > LEAST_DIFFERENCE
    np.divide(1.0 - albedo, difference, out=result, where=enough)
    return result


def thermal_indices(
    day: Sequence[RasterInput],
    folder: str | Path,
    *,
    night: Sequence[RasterInput] = (),
    albedo: Sequence[RasterInput] = (),
    tolerance_days: int = 16,
    units: str = "auto",
    scale: float | None = None,
    day_band: str = "",
    night_band: str = "",
    albedo_band: str = "",
    progress: Progress | None = None,
) -> list[Path]:
    """Write delta_LST, and ATI where there is albedo, as ``thermal_YYYYMMDD.tif``.

    Memory does not grow with the rasters.

    Parameters
    ----------
    day, night : sequences of RasterInput
        Land-surface temperature, matched by date; without `night` the rasters of `day` hold both
        bands. The rasters of the day give the grid; the night may have other cells in the same
        reference system.
    folder : path
        Gets the rasters.
    albedo : sequence of RasterInput
        Broadband albedo on any grid; coarser cells are interpolated, finer ones averaged.
    tolerance_days : int
        How many days before the date the albedo may lie.
    units : {"auto", "kelvin", "celsius"}
        Told by the range of the values, raster by raster.
    scale : float, optional
        Temperature of a stored number, in place of what the files declare.
    day_band, night_band, albedo_band : str
        Names of the bands in rasters of several.
    progress : Progress, optional

    Returns
    -------
    list of Path
        The rasters in the order of their dates. A date without a partner, or without any value,
        has none and is listed.

    Raises
    ------
    InputError, RasterError
        For bands, dates, units or grids that do not fit; see `temperatures`.
    """
    progress = progress or Progress()
    if not day or units not in UNITS:
        raise InputError(
            "No raster is given in DAY." if not day else f"The units '{units}' are unknown.",
            "Add rasters of land-surface temperature." if not day else f"Use {', '.join(UNITS)}.",
        )
    of_day = describe_bands(day, progress.part(0.0, 0.03))
    of_night = describe_bands(night, progress.part(0.03, 0.05)) if night else of_day
    sides = [
        temperatures(
            bands,
            night=is_night,
            shared=not night,
            wanted=wanted,
            units=units,
            scale=scale or None,
            progress=progress.part(0.05 + 0.02 * is_night, 0.07 + 0.02 * is_night),
        )
        for bands, is_night, wanted in (
            (of_day, False, day_band),
            (of_night, True, night_band),
        )
    ]
    if scale:
        _check_one_unit(sides)
    days = sorted(set(sides[0]) & set(sides[1]))
    _report_partners(set(sides[0]), set(sides[1]), progress)
    chosen = _choose_albedo(days, albedo, albedo_band, tolerance_days, progress)
    scalings: dict[ProductBand, Scaling] = {}
    jobs = []
    for one in days:
        progress.check()
        band = chosen.get(one)
        if band is not None and band not in scalings:
            scalings[band] = albedo_scaling(band, progress)
        scaling = scalings[band] if band is not None else Scaling()
        jobs.append(ThermalDay(one, sides[0][one], sides[1][one], band, scaling))
        _check_grids(jobs[-1])
    return _write_all(jobs, Path(folder).absolute(), progress.part(0.1, 1.0))


def _choose_albedo(
    days: Sequence[date],
    albedo: Sequence[RasterInput],
    wanted: str,
    tolerance_days: int,
    progress: Progress,
) -> dict[date, ProductBand]:
    if not albedo:
        progress.info("Without ALBEDO there is delta_LST only, no ATI.")
        return {}
    bands = albedo_bands(describe_bands(albedo, progress.part(0.09, 0.1)), wanted)
    check_albedo_dates(bands)
    if len(bands) == 1 and bands[0].day is None:
        progress.info(f"{bands[0].label} has no date: its albedo is used on every date.")
    chosen = {}
    for day in days:
        band = albedo_on(day, bands, tolerance_days)
        if band is not None:
            chosen[day] = band
    lacking = [str(day) for day in days if day not in chosen]
    if len(lacking) == len(days):
        raise InputError(
            f"No ALBEDO lies on or up to {tolerance_days} days before a date of DAY and NIGHT "
            f"({days[0]} to {days[-1]}).",
            "Add albedo of these days, raise TOLERANCE, or leave ALBEDO empty.",
        )
    if lacking:
        progress.warn(
            f"There is no albedo on or up to {tolerance_days} days before {listed(lacking)}: "
            "these dates have delta_LST only."
        )
    return chosen


def _report_partners(warm: set[date], cold: set[date], progress: Progress) -> None:
    both = sorted(warm & cold)
    if not both:
        raise InputError(
            f"DAY and NIGHT have no date in common: DAY has {describe_days(warm)}, NIGHT "
            f"{describe_days(cold)}.",
            "Give the temperature by night of the same dates.",
        )
    progress.info(f"Day and night: {describe_days(both)}.")
    for lonely, lacking in ((warm - cold, "NIGHT"), (cold - warm, "DAY")):
        if lonely:
            texts = [str(day) for day in sorted(lonely)]
            progress.warn(f"{lacking} has no raster of {listed(texts)}: left out.")


def _check_one_unit(sides: Sequence[dict[date, Temperature]]) -> None:
    """Raise where one scale for all rasters gives kelvin here and degrees Celsius there."""
    example = {one.unit: one for side in sides for one in side.values()}
    if len(example) > 1:
        raise InputError(
            f"With SCALE {example['kelvin'].band.label} is in kelvin and "
            f"{example['celsius'].band.label} in degrees Celsius: not all rasters need SCALE.",
            "Set the scale of those that do (gdal_edit.py -scale) and leave SCALE empty.",
        )


def _check_grids(job: ThermalDay) -> None:
    warm, cold = job.warm.band, job.cold.band
    if cold.grid.matches(warm.grid):
        return
    both = f"{warm.label} has {warm.grid.describe()}, {cold.label} has {cold.grid.describe()}"
    if not same_crs(warm.grid.crs, cold.grid.crs):
        raise RasterError(
            f"Day and night of {job.day} are in different coordinate reference systems: "
            f"{crs_name(warm.grid.crs)} and {crs_name(cold.grid.crs)}.",
            "Bring them into one (Warp) first.",
        )
    if warm.grid.is_rotated or cold.grid.is_rotated:
        raise RasterError(
            f"Day and night of {job.day} have rotated cells on two grids: {both}.",
            "Bring both to one grid (Warp) first.",
        )
    if warm.grid.window_of(cold.grid.bounds) is None:
        raise RasterError(
            f"Day and night of {job.day} do not overlap: {both}.",
            "Give rasters of the same place.",
        )


def _write_all(jobs: Sequence[ThermalDay], folder: Path, progress: Progress) -> list[Path]:
    paths: list[Path] = []
    empty: list[str] = []
    total = ThermalTally()
    for done, job in enumerate(jobs):
        target = folder / f"thermal_{job.day:%Y%m%d}.tif"
        tally = ThermalTally()
        try:
            _write(job, target, tally, progress.part(done / len(jobs), (done + 1) / len(jobs)))
        except _NothingLeft:
            empty.append(str(job.day))
        else:
            paths.append(target)
        total.add(tally)
    _report(total, any(job.albedo for job in jobs), empty, progress)
    if not paths:
        raise InputError(
            f"No cell has day and night temperature on {listed(empty)}.",
            "Clouds hide the surface; try other dates, and check that the rasters overlap.",
        )
    return paths


def _write(job: ThermalDay, target: Path, tally: ThermalTally, progress: Progress) -> None:
    grid = job.warm.band.grid
    windows = grid.windows(_BLOCK)
    names = ["delta_LST"] if job.albedo is None else ["delta_LST", "ATI"]
    units = ["K", "1/K"][: len(names)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(bounded_cache())
        writer = stack.enter_context(
            RasterWriter(target, grid, names, day=job.day, style=_STYLE, units=units)
        )
        sources = [(side.band, side.scaling) for side in (job.warm, job.cold)]
        if job.albedo is not None:
            sources.append((job.albedo, job.albedo_scaling))
        readers = [
            stack.enter_context(BandReader(band, scaling, grid, progress=progress))
            for band, scaling in sources
        ]

        def compute(window: Window, _: threading.Event) -> np.ndarray:
            return _block(job, readers, window, tally, progress)

        blocks = results_in_order(compute, windows, 1, progress)
        stack.enter_context(contextlib.closing(blocks))
        for done, (window, block) in enumerate(zip(windows, blocks), start=1):
            writer.write(window, block)
            progress.step(done / len(windows))
        if not tally.differences:
            raise _NothingLeft


def _block(
    job: ThermalDay,
    readers: Sequence[BandReader],
    window: Window,
    tally: ThermalTally,
    progress: Progress,
) -> np.ndarray:
    sides = []
    for side, reader in zip((job.warm, job.cold), readers):
        progress.check()
        kelvin, outside = side.to_kelvin(reader.read(window))
        tally.not_temperature += outside
        sides.append(kelvin)
    difference = sides[0] - sides[1]
    tally.cells += difference.size
    tally.differences += int(np.isfinite(difference).sum())
    tally.negative += int((difference < 0).sum())
    if job.albedo is None:
        return difference[None]
    albedo = readers[2].read(window)
    outside_albedo = (albedo < 0) | (albedo > 1)
    tally.not_albedo += int(outside_albedo.sum())
    albedo[outside_albedo] = np.nan
    inertia = thermal_inertia(difference, albedo)
    tally.inertias += int(np.isfinite(inertia).sum())
    tally.too_small += int((difference <= LEAST_DIFFERENCE).sum())
    return np.stack([difference, inertia])


def _report(
    total: ThermalTally, with_albedo: bool, empty: Sequence[str], progress: Progress
) -> None:
    share = 100 / max(total.cells, 1)
    progress.info(f"{share * total.differences:.1f} % of the cells have delta_LST.")
    if with_albedo:
        progress.info(f"{share * total.inertias:.1f} % of the cells have ATI.")
    for count, text in (
        (total.not_temperature, "temperatures below 150 or above 400 K count as missing"),
        (total.not_albedo, "values of albedo below 0 or above 1 count as missing"),
        (total.too_small, "cells have a difference of 1 K or less, and no ATI"),
    ):
        if count:
            progress.info(f"{count} {text}.")
    if 2 * total.negative > total.differences:
        progress.warn(
            "The day is colder than the night in more than half of the cells: check that DAY and "
            "NIGHT are not swapped."
        )
    if empty:
        progress.warn(
            f"No cell has day and night temperature on {listed(empty)}: no raster is written."
        )
