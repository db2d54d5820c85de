"""The days that files of coarse moisture hold, whatever their format, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import Grid, Window
from ...rasters.names import date_in_name
from ...rasters.netcdf import NetcdfReader, NetcdfSeries, describe_netcdf
from ...rasters.reading import BandInfo, RasterReader, describe_raster
from ..rows import listed
from .smap import PRODUCTS, RetrievalCounts, SmapFile, describe_smap, open_smap, smap_day

SUFFIXES = {
    "smap": (".h5", ".hdf5", ".he5"),
    "netcdf": (".nc", ".nc4", ".cdf"),
    "geotiff": (".tif", ".tiff"),
}
READ_AS = ("auto", *PRODUCTS, "netcdf", "geotiff")

Read = Callable[[Window], "tuple[np.ndarray, RetrievalCounts]"]


@dataclass(frozen=True)
class CoarseDay:
    """A day of a series.

    `open` gives, as a context manager, a function that reads a window of `grid`: float64 with
    NaN for missing, and what was left out for its quality.
    """

    day: date
    path: Path
    grid: Grid
    open: Callable[[], AbstractContextManager[Read]]


@dataclass(frozen=True)
class Selection:
    """Which days, and which part of the files, are wanted."""

    product: str = "auto"
    which: str = "average"
    quality: str = "recommended"
    variable: str = ""
    start: date | None = None
    end: date | None = None

    def holds(self, day: date) -> bool:
        """Whether a day is wanted."""
        return (self.start or date.min) <= day <= (self.end or date.max)


def find_days(
    source: Path, selection: Selection, leave_out: Path, progress: Progress
) -> list[CoarseDay]:
    """Find the days in a file, or in a folder and those below it, in order.

    Parameters
    ----------
    source : Path
        A file or a folder.
    selection : Selection
    leave_out : Path
        A folder whose files are not read: that of the output.
    progress : Progress

    Raises
    ------
    InputError
        For no file, formats that are mixed, and days that occur twice.
    RasterError
        For files that cannot be read.
    """
    kind, files = _find_files(source, selection.product, leave_out)
    finders = {"smap": _smap_days, "netcdf": _netcdf_days, "geotiff": _geotiff_days}
    days = finders[kind](files, selection, progress)
    if not days:
        period = f"{selection.start or 'the beginning'} to {selection.end or 'the end'}"
        raise InputError(
            f"None of the {len(files)} files in '{source}' shows a day from {period}.",
            "Check START, END, PRODUCT and PASS.",
        )
    days.sort(key=lambda one: one.day)
    _refuse_twins(days)
    _check_grids(days)
    return days


def _find_files(source: Path, product: str, leave_out: Path) -> tuple[str, list[Path]]:
    if product not in READ_AS:
        raise InputError(f"The product '{product}' is unknown.", f"Choose {', '.join(READ_AS)}.")
    if source.is_dir():
        paths = [path for path in sorted(source.rglob("*")) if not path.name.startswith(".")]
        if leave_out != source:
            paths = [path for path in paths if leave_out not in path.parents]
    elif source.is_file():
        paths = [source]
    else:
        raise InputError(f"'{source}' does not exist.", "Check the path.")
    found = {
        kind: [path for path in paths if path.suffix.lower() in suffixes and path.is_file()]
        for kind, suffixes in SUFFIXES.items()
    }
    found = {kind: files for kind, files in found.items() if files}
    if product != "auto":
        kind = "smap" if product in PRODUCTS else product
        if kind not in found:
            raise InputError(
                f"'{source}' holds no file of the product {product} ({', '.join(SUFFIXES[kind])}).",
                "Check INPUT and PRODUCT.",
            )
        return kind, found[kind]
    if not found:
        known = ", ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
        raise InputError(f"'{source}' holds no raster that can be read here ({known}).")
    if len(found) > 1:
        counts = ", ".join(f"{len(files)} × {files[0].suffix}" for files in found.values())
        raise InputError(
            f"'{source}' holds files of several formats: {counts}.", "Choose PRODUCT, or a folder."
        )
    return next(iter(found.items()))


# SMAP level 3


def _smap_days(files: Sequence[Path], selection: Selection, progress: Progress) -> list[CoarseDay]:
    described = []
    for done, path in enumerate(files):
        progress.step(done / len(files))
        named = smap_day(path)[0]
        if named is None or selection.holds(named):
            file = describe_smap(path)
            if selection.holds(file.day):
                described.append(file)
    described = _one_product(described, selection.product, progress)
    described = _newest(described, progress)
    if selection.which != "average":
        lacking = [one for one in described if selection.which not in one.passes]
        _tell_lacking(lacking, f"no {selection.which.upper()} pass and are left out", progress)
        described = [one for one in described if selection.which in one.passes]
    else:
        for which in ("am", "pm"):
            only = [one for one in described if one.passes == (which,)]
            _tell_lacking(only, f"only the {which.upper()} pass, which is taken alone", progress)
    return [
        CoarseDay(
            one.day,
            one.path,
            one.ease.grid,
            partial(_open_smap, one, selection.which, selection.quality),
        )
        for one in described
    ]


@contextmanager
def _open_smap(file: SmapFile, which: str, quality: str) -> Iterator[Read]:
    with open_smap(file, which, quality) as reader:
        yield reader.read


def _one_product(files: list[SmapFile], product: str, progress: Progress) -> list[SmapFile]:
    if product != "auto":
        kept = [one for one in files if one.ease.name == PRODUCTS[product]]
        if len(kept) < len(files):
            progress.info(f"{len(files) - len(kept)} files of another product are left out.")
        return kept
    sizes = sorted({one.ease.name for one in files})
    if len(sizes) > 1:
        raise InputError(
            f"There are files of several products: SMAP at {' and '.join(sizes)}.",
            "Choose PRODUCT.",
        )
    return files


def _newest(files: Sequence[SmapFile], progress: Progress) -> list[SmapFile]:
    """Keep the newest release of each day."""
    by_day: dict[date, list[SmapFile]] = {}
    for one in files:
        by_day.setdefault(one.day, []).append(one)
    kept, left = [], []
    for candidates in by_day.values():
        candidates.sort(key=lambda one: one.release)
        newest = candidates[-1]
        kept += [one for one in candidates if one.release == newest.release]
        left += [one for one in candidates if one.release != newest.release]
    if left:
        progress.info(
            f"{len(left)} files are left out for a newer release of the same day: "
            f"{listed([one.path.name for one in left])}."
        )
    return kept


def _tell_lacking(files: Sequence[SmapFile], text: str, progress: Progress) -> None:
    if files:
        progress.warn(
            f"{len(files)} files hold {text}: {listed([one.path.name for one in files])}."
        )


# NetCDF


def _netcdf_days(
    files: Sequence[Path], selection: Selection, progress: Progress
) -> list[CoarseDay]:
    days: list[CoarseDay] = []
    variables = set()
    for done, path in enumerate(files):
        progress.step(done / len(files))
        series = describe_netcdf(path, selection.variable)
        variables.add(f"{series.variable} ({series.units or 'no unit given'})")
        if not done and "flag" in series.others:
            progress.info("The files' variable 'flag' is not used: all their values are taken.")
        for day, bands in _bands_by_day(series, progress).items():
            if selection.holds(day):
                opened = partial(_open_netcdf, series, bands)
                days.append(CoarseDay(day, path, series.grid, opened))
    progress.info(f"Variable: {', '.join(sorted(variables))}.")
    return days


def _bands_by_day(series: NetcdfSeries, progress: Progress) -> dict[date, list[int]]:
    bands: dict[date, list[int]] = {}
    for index, time in enumerate(series.times, start=1):
        day = time.date() if time else date_in_name(series.path.stem)[0]
        if day is None:
            raise RasterError(
                f"Neither a time axis nor the name of '{series.path.name}' tell its day.",
                "Put the date into the name, such as sm_20210401.nc.",
            )
        bands.setdefault(day, []).append(index)
    most = max(map(len, bands.values()), default=0)
    if most > 1 and any(time is None for time in series.times):
        raise RasterError(
            f"'{series.path.name}' has {len(series.times)} layers and no time axis.",
            "Split it into files of one day each.",
        )
    if most > 1:
        progress.info(f"'{series.path.name}': up to {most} times a day are averaged (UTC days).")
    return bands


@contextmanager
def _open_netcdf(series: NetcdfSeries, bands: list[int]) -> Iterator[Read]:
    with NetcdfReader(series) as reader:

        def read(window: Window) -> tuple[np.ndarray, RetrievalCounts]:
            total = np.zeros((window.height, window.width))
            count = np.zeros((window.height, window.width), dtype=np.int64)
            for band in bands:
                values = reader.read([band], window)[0]
                there = np.isfinite(values)
                total[there] += values[there]
                count += there
            return np.where(count, total / np.maximum(count, 1), np.nan), RetrievalCounts()

        yield read


# GeoTIFF


def _geotiff_days(
    files: Sequence[Path], selection: Selection, progress: Progress
) -> list[CoarseDay]:
    days: list[CoarseDay] = []
    undated = []
    for done, path in enumerate(files):
        progress.step(done / len(files))
        info = describe_raster(path, progress=progress)
        bands = _bands_named(info.bands, selection.variable, path)
        for band in bands:
            if band.date is None:
                undated.append(path.name)
            elif selection.holds(band.date):
                opened = partial(_open_geotiff, path, band.index, progress)
                days.append(CoarseDay(band.date, path, info.grid, opened))
    if undated:
        raise InputError(
            f"{len(undated)} rasters have no date: {listed(undated)}.",
            "Put it into the name, such as smap_20210401.tif.",
        )
    return days


def _bands_named(bands: Sequence[BandInfo], variable: str, path: Path) -> list[BandInfo]:
    names = sorted({band.name for band in bands})
    wanted = variable or (names[0] if len(names) == 1 else "")
    chosen = [band for band in bands if band.name == wanted]
    if not chosen:
        asked = f"has no band '{variable}'" if variable else "has bands of several names"
        raise InputError(
            f"'{path.name}' {asked}: it has {', '.join(names)}.", "Name one of them in VARIABLE."
        )
    return chosen


@contextmanager
def _open_geotiff(path: Path, band: int, progress: Progress) -> Iterator[Read]:
    with RasterReader(path, progress=progress) as reader:

        def read(window: Window) -> tuple[np.ndarray, RetrievalCounts]:
            return reader.read([band], window)[0], RetrievalCounts()

        yield read


# all


def _refuse_twins(days: Sequence[CoarseDay]) -> None:
    paths: dict[date, list[str]] = {}
    for one in days:
        paths.setdefault(one.day, []).append(str(one.path))
    twins = [f"{day} ({', '.join(found)})" for day, found in paths.items() if len(found) > 1]
    if twins:
        raise InputError(
            f"Days occur more than once: {listed(twins)}.",
            "Keep one file a day; mosaic the tiles of a day first (Merge).",
        )


def _check_grids(days: Sequence[CoarseDay]) -> None:
    first = days[0]
    for one in days[1:]:
        if one.grid is not first.grid and not one.grid.matches(first.grid):
            raise RasterError(
                f"The files are not on one grid: '{first.path.name}' has "
                f"{first.grid.describe()}, '{one.path.name}' has {one.grid.describe()}.",
                "Take files of one product and area.",
            )
