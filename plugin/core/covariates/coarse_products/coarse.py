"""Coarse moisture as a series: daily products as they are downloaded → dated GeoTIFFs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import Extent, Grid, Window, transform_extent
from ...rasters.names import RESERVED_NAMES, date_in_name
from ...rasters.styles import MOISTURE_STYLE
from ...rasters.writing import RasterWriter
from ..rows import listed
from .coarse_days import CoarseDay, Selection, find_days
from .smap import PASSES, QUALITIES, RetrievalCounts

UNITS = ("m3m3", "percent", "other")
MARGIN = 1
"""Cells kept around the area, so that its edge can be interpolated."""
_STRIP_CELLS = 4_000_000
_FEW = 0.01  # of a file's values: more of them above 1 are not stray but in another unit


@dataclass
class _Tally:
    """What a run has seen."""

    counts: RetrievalCounts = field(default_factory=RetrievalCounts)
    outside: int = 0
    shares: list[float] = field(default_factory=list)
    empty: list[date] = field(default_factory=list)
    largest: float = -np.inf


class _NoValue(Exception):
    """A day without a value in the area: its file is not kept."""


def prepare_coarse_series(
    source: str | Path,
    folder: str | Path,
    *,
    selection: Selection | None = None,
    name: str = "smap",
    units: str = "m3m3",
    extent: tuple[Extent, str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the days of a coarse product as ``<name>_YYYYMMDD.tif``, cut to an area.

    Nothing is filled: a cell without a value in the file has none. A day without any value in the
    area is not written.

    Parameters
    ----------
    source : path
        A file, or a folder that is searched with those below it.
    folder : path
        Where the files go.
    selection : Selection, optional
        Product, pass, quality, variable and period.
    name : str
        The covariate's name.
    units : {"m3m3", "percent", "other"}
        Of the values; percent is divided by 100, other quantities are taken as they are.
    extent : (edges, crs), optional
        The cells it touches are written, and one more on each side.
    progress : Progress, optional

    Returns
    -------
    list of Path
        The files written, in order of date.

    Raises
    ------
    InputError
        For settings or names that cannot be used, no file, mixed formats and days that occur
        twice, no value in the area.
    RasterError
        For files that are damaged or of another kind, different grids, and values in percent
        that are said to be m³ m⁻³.
    """
    progress = progress or Progress()
    selection = selection or Selection()
    _check(selection, name, units)
    target = Path(folder).absolute()
    days = find_days(Path(source).absolute(), selection, target, progress.part(0.0, 0.2))
    window = _area(days[0].grid, extent)
    progress.info(
        f"{len(days)} days from {days[0].day} to {days[-1].day}; "
        f"{days[0].grid.part(window).describe()}."
    )
    written = []
    tally = _Tally()
    for done, day in enumerate(days):
        part = progress.part(0.2 + 0.8 * done / len(days), 0.2 + 0.8 * (done + 1) / len(days))
        output = target / f"{name}_{day.day:%Y%m%d}.tif"
        if any(output == one.path for one in days):
            raise InputError(f"'{output}' would be written over itself.", "Choose another folder.")
        try:
            _write(day, window, output, name, units, tally, part)
        except _NoValue:
            tally.empty.append(day.day)
        else:
            written.append(output)
        part.report(1.0)
    _report(tally, units, progress)
    if not written:
        raise InputError(
            f"None of the {len(days)} days has a value in the area.",
            "Check EXTENT, PASS and QUALITY.",
        )
    return written


def _check(selection: Selection, name: str, units: str) -> None:
    choices = (
        ("PASS", selection.which, PASSES),
        ("QUALITY", selection.quality, QUALITIES),
        ("UNITS", units, UNITS),
    )
    for setting, value, known in choices:
        if value not in known:
            raise InputError(f"{setting} '{value}' is unknown.", f"Choose {', '.join(known)}.")
    if not re.fullmatch(r"[^\W\d][\w\-.]*", name) or date_in_name(name)[0] is not None:
        raise InputError(
            f"NAME '{name}' cannot name a covariate and its files.",
            "Use letters, digits, '_' and '-', a letter first and no date, such as smap.",
        )
    if name.lower() in RESERVED_NAMES:
        raise InputError(
            f"NAME '{name}' is the name of a field that every table has.", "Choose another one."
        )
    if selection.start and selection.end and selection.end < selection.start:
        raise InputError(f"END {selection.end} lies before START {selection.start}.", "Swap them.")


def _area(grid: Grid, extent: tuple[Extent, str] | None) -> Window:
    if extent is None:
        return grid.whole
    edges, crs = extent
    own = transform_extent(crs, grid.crs, edges) if crs else edges
    touched = grid.window_of(own)
    if touched is None:
        edges_text = ", ".join(f"{edge:g}" for edge in edges)
        raise InputError(
            f"EXTENT {edges_text} (xmin, ymin, xmax, ymax) lies outside the series, which has "
            f"{grid.describe()}.",
            "Check it and its coordinate reference system.",
        )
    return touched.padded(MARGIN).overlap(grid.whole) or touched


def _write(
    day: CoarseDay,
    window: Window,
    output: Path,
    name: str,
    units: str,
    tally: _Tally,
    progress: Progress,
) -> None:
    """Write a day; raise `_NoValue` where it has none, so that nothing is kept."""
    grid = day.grid.part(window)
    moisture = units != "other"
    style = MOISTURE_STYLE if moisture else None
    strips = _strips(grid)
    there = above = 0
    with (
        day.open() as read,
        RasterWriter(
            output, grid, [name], day=day.day, style=style, units=["m3 m-3" if moisture else ""]
        ) as writer,
    ):
        for done, strip in enumerate(strips):
            progress.step(done / len(strips))
            values, counts = read(strip.shifted(window.col, window.row))
            tally.counts.add(counts)
            if moisture:
                values = values / 100 if units == "percent" else values
                above += int((values > 1).sum())
                outside = (values < 0) | (values > 1)
                tally.outside += int(outside.sum())
                values[outside] = np.nan
            known = values[np.isfinite(values)]
            there += known.size
            tally.largest = max(tally.largest, float(known.max(initial=-np.inf)))
            writer.write(strip, values[None])
        _refuse_percent(day, units, there, above)
        if not there:
            raise _NoValue
    tally.shares.append(there / (grid.width * grid.height))


def _strips(grid: Grid) -> list[Window]:
    """Cut a grid into strips of whole rows."""
    rows = max(1, _STRIP_CELLS // grid.width)
    return [
        Window(0, row, grid.width, min(rows, grid.height - row))
        for row in range(0, grid.height, rows)
    ]


def _refuse_percent(day: CoarseDay, units: str, there: int, above: int) -> None:
    if above > _FEW * (there + above):
        unit = "m³ m⁻³" if units == "m3m3" else "percent"
        raise RasterError(
            f"'{day.path.name}' holds values that are no moisture in {unit}: {above} of "
            f"{there + above} exceed {'1' if units == 'm3m3' else '100'}.",
            "Set UNITS to percent, or to other for quantities that are no volumetric moisture.",
        )


def _report(tally: _Tally, units: str, progress: Progress) -> None:
    counts = tally.counts
    if counts.rejected:
        progress.info(
            f"Quality: {counts.rejected} of {counts.retrieved} retrievals in the area "
            f"({counts.rejected / counts.retrieved:.1%}) are not recommended and left out."
        )
    elif counts.retrieved:
        progress.info(f"Quality: all {counts.retrieved} retrievals in the area are taken.")
    if tally.outside:
        progress.warn(f"{tally.outside} values outside 0 to 1 m³ m⁻³ are left out.")
    if tally.shares:
        shares = np.array(tally.shares)
        progress.info(
            f"{shares.size} files written; their cells with a value: {shares.min():.0%} to "
            f"{shares.max():.0%}, median {np.median(shares):.0%}."
        )
    if tally.empty:
        progress.info(
            f"{len(tally.empty)} days have no value in the area and are not written: "
            f"{listed([day.isoformat() for day in tally.empty])}."
        )
    if units == "percent" and 0 < tally.largest <= 0.01:
        progress.warn(f"The largest value is {tally.largest * 100:g} percent: is the unit m³ m⁻³?")
