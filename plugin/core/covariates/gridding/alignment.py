"""Rasters brought to the cells of one grid: values averaged or interpolated, classes kept."""

from __future__ import annotations

import contextlib
import fnmatch
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Grid, Window
from ...rasters.names import date_in_description, date_in_name
from ...rasters.reading import BandInfo, RasterInfo, RasterReader, open_raster
from ...rasters.styles import paletted_style
from ...rasters.warping import source_window
from ...rasters.writing import BYTE_NODATA, RasterWriter, write_text
from ..rows import listed
from ..table import RasterInput
from ..timeseries.series import describe_rasters
from ..timeseries.series_files import refuse_own_inputs, staged_folder
from .alignment_cells import cell_readers, coarsening

AUTO = "auto"
RESAMPLINGS = (AUTO, "average", "bilinear", "nearest", "mode", "cubic")
CLASS_NAMES = (
    "*land*cover*",
    "*land*use*",
    "*lulc*",
    "*nlcd*",
    "*corine*",
    "clc*",
    "*worldcover*",
    "*lc100*",
    "*class*",
)
"""Names of rasters of whole numbers that are taken for classes without being told."""

_COARSER = 1.01  # cells of the target by source cells: more than this is coarser
_SOURCE_CELLS = 1024  # a side that are read at a time where the grid is coarser
_BLOCK = 512
_FEW_VALUES = 24  # different whole numbers that look like classes
_LOOKED_AT = 1024  # cells a side looked at for that
_COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
    "#bbbbbb", "#882255", "#44aa99", "#999933", "#cc6677", "#332288",
)  # fmt: skip


@dataclass(frozen=True)
class _Plan:
    """A raster, how each of its bands is resampled, and where it goes."""

    info: RasterInfo
    methods: tuple[str, ...]
    classes: tuple[bool, ...]
    day: date | None
    name: str

    @property
    def all_classes(self) -> bool:
        return all(self.classes)


def align_rasters(
    inputs: Sequence[RasterInput],
    grid: Grid,
    folder: str | Path,
    *,
    resampling: str = AUTO,
    categorical: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Path]:
    """Write rasters on the cells of one grid, block by block.

    By `auto`, values are averaged by area where the grid is coarser along either axis, else
    interpolated bilinearly; classes take the largest share of a cell, else the nearest one. Where
    cells agree they are copied. Missing cells stay missing: they lose their weight in averages
    and shares, and else a cell is missing where its centre lies in one.

    Parameters
    ----------
    inputs : sequence of RasterInput
    grid : Grid
        The target.
    folder : path
        Gets ``<name>_YYYYMMDD.tif`` for a raster of one date, else the raster's own base name.
        All files appear when the run has gone well, or none.
    resampling : {"auto", "average", "bilinear", "nearest", "mode", "cubic"}
        How values are resampled; classes are never averaged or interpolated.
    categorical : sequence of str
        Names or shell patterns of bands, or of files without extension, that hold classes.
        Whole numbers with a colour table or a name of `CLASS_NAMES` are classes anyway.
    progress : Progress, optional
        Hears of what was chosen for each raster.

    Returns
    -------
    list of Path
        In the order of dates; rasters without date first, as given.

    Raises
    ------
    InputError
        For two rasters of one output name, and for a run that would replace its inputs.
    RasterError
        For a raster that does not touch the grid.
    """
    progress = progress or Progress()
    if resampling not in RESAMPLINGS:
        raise InputError(
            f"The resampling '{resampling}' is unknown.", f"Use one of {', '.join(RESAMPLINGS)}."
        )
    target = Path(folder).absolute()
    plans = []
    for info in describe_rasters(inputs, progress.part(0.0, 0.02)):
        progress.check()
        plans.append(_plan(info, grid, resampling, categorical, progress))
    _check_outputs(plans, target)
    with staged_folder(target) as staging, bounded_cache():
        for done, plan in enumerate(plans):
            part = progress.part(
                0.02 + 0.98 * done / len(plans), 0.02 + 0.98 * (done + 1) / len(plans)
            )
            _align(plan, grid, staging / plan.name, part)
    plans.sort(key=lambda plan: plan.day or date.min)
    return [target / plan.name for plan in plans]


def choose_resampling(source: Grid, target: Grid, classes: bool) -> str:
    """Return how `auto` resamples: by area where the target is coarser along either axis."""
    coarser = coarsening(source, target) > _COARSER
    if classes:
        return "mode" if coarser else "nearest"
    return "average" if coarser else "bilinear"


def is_class_band(info: RasterInfo, band: BandInfo, patterns: Sequence[str], dataset: Any) -> bool:
    """Whether a band holds classes: by name, else whole numbers with colours or a known name."""
    names = (band.name, info.path.stem)
    if any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns):
        return True
    if not band.dtype.startswith(("int", "uint")) or (band.scale, band.offset) != (1.0, 0.0):
        return False
    if dataset.colorinterp[band.index - 1].name == "palette":
        return True
    return any(fnmatch.fnmatchcase(n.lower(), known) for n in names for known in CLASS_NAMES)


def _plan(
    info: RasterInfo,
    grid: Grid,
    resampling: str,
    categorical: Sequence[str],
    progress: Progress,
) -> _Plan:
    if source_window(info.grid, grid) is None:
        raise RasterError(
            f"The raster '{info.path.name}' does not touch the grid: it covers "
            f"{info.grid.describe()}, the grid {grid.describe()}.",
            "Choose another extent, or check the coordinate reference systems of both.",
        )
    with open_raster(info.path) as dataset:
        classes = tuple(is_class_band(info, b, categorical, dataset) for b in info.bands)
        for band, is_class in zip(info.bands, classes):
            if not is_class:
                _warn_of_few_values(info, band, dataset, progress)
    same = grid.offset_in(info.grid) is not None
    methods = tuple(
        "nearest" if same else _method(info, grid, resampling, is_class, progress)
        for is_class in classes
    )
    _tell(info, grid, methods, classes, same, progress)
    days = {band.date for band in info.bands}
    day = days.pop() if len(days) == 1 else None
    return _Plan(info, methods, classes, day, _output_name(info, day))


def _method(
    info: RasterInfo, grid: Grid, resampling: str, classes: bool, progress: Progress
) -> str:
    if resampling == AUTO:
        return choose_resampling(info.grid, grid, classes)
    if classes and resampling not in ("nearest", "mode"):
        chosen = choose_resampling(info.grid, grid, True)
        progress.warn(
            f"'{info.path.name}' holds classes, which have no {resampling} value: {chosen} is used."
        )
        return chosen
    return resampling


def _tell(
    info: RasterInfo,
    grid: Grid,
    methods: Sequence[str],
    classes: Sequence[bool],
    same: bool,
    progress: Progress,
) -> None:
    if same:
        progress.info(f"{info.path.name}: copied, its cells are those of the grid.")
        return
    factor = coarsening(info.grid, grid)
    size = f"{factor:.3g} × coarser" if factor > 1 else f"{1 / factor:.3g} × finer"
    for kind in dict.fromkeys(zip(methods, classes)):
        names = [b.name for b, m, c in zip(info.bands, methods, classes) if (m, c) == kind]
        what = "classes" if kind[1] else "values"
        some = listed(list(dict.fromkeys(names)))
        progress.info(f"{info.path.name}: {kind[0]} ({what}, the grid is {size}): {some}.")


def _warn_of_few_values(info: RasterInfo, band: BandInfo, dataset: Any, progress: Progress) -> None:
    """Warn of whole numbers that look like classes nobody has named."""
    if not band.dtype.startswith(("int8", "uint8")) or (band.scale, band.offset) != (1.0, 0.0):
        return
    side = _LOOKED_AT
    place = ((0, min(side, dataset.height)), (0, min(side, dataset.width)))
    found = np.unique(dataset.read(band.index, window=place))
    if 2 < found.size <= _FEW_VALUES:
        progress.warn(
            f"The band '{band.name}' of '{info.path.name}' holds {found.size} different whole "
            "numbers and is treated as values. Name it in CATEGORICAL where they are classes."
        )


def _output_name(info: RasterInfo, day: date | None) -> str:
    stem = info.path.stem
    if day is None:
        return f"{stem}.tif"
    name = f"{date_in_name(stem)[1] or 'raster'}_{day:%Y%m%d}"
    # a second date in the name would be read instead
    return f"{name}.tif" if date_in_name(name)[0] == day else f"{stem}.tif"


def _check_outputs(plans: Sequence[_Plan], target: Path) -> None:
    counts = Counter(plan.name.lower() for plan in plans)
    twice = [str(plan.info.path) for plan in plans if counts[plan.name.lower()] > 1]
    if twice:
        raise InputError(
            f"Several rasters would be written to one file: {listed(twice)}.",
            "Rename them, or align them into different folders.",
        )
    refuse_own_inputs(
        [plan.info.path for plan in plans],
        [target / plan.name for plan in plans],
        "Choose another folder.",
    )


def _align(plan: _Plan, grid: Grid, output: Path, progress: Progress) -> None:
    bands = plan.info.bands
    as_bytes = plan.all_classes and _fit_bytes(plan, grid, progress)
    factor = coarsening(plan.info.grid, grid)
    side = max(1, min(_BLOCK, int(_SOURCE_CELLS / max(1.0, factor)))) if factor > 2 else _BLOCK
    codes: set[int] = set()
    filled = 0
    with contextlib.ExitStack() as stack:
        parts = list(cell_readers(plan.info, plan.methods, grid, stack, progress))
        writer = stack.enter_context(
            RasterWriter(
                output,
                grid,
                _descriptions(plan),
                dtype="uint8" if as_bytes else "float32",
                day=plan.day,
                units=[b.units for b in bands] if any(b.units for b in bands) else None,
                style="" if plan.classes[0] else None,
            )
        )
        windows = grid.windows(side)
        for done, window in enumerate(windows):
            values = np.full((len(bands), window.height, window.width), np.nan, dtype=np.float32)
            for positions, read in parts:
                progress.check()
                values[positions] = read(window)
            there = np.isfinite(values)
            filled += int(there.any(axis=0).sum())
            if plan.classes[0]:
                codes.update(np.unique(values[0][there[0]]).astype(int).tolist())
            if as_bytes:
                values = np.where(there, values, BYTE_NODATA)
            writer.write(window, values)
            progress.step((done + 1) / len(windows))
    if plan.classes[0]:
        write_text(_class_style(plan.info, sorted(codes)), output.with_suffix(".qml"))
    if not filled:
        progress.warn(f"'{plan.info.path.name}' has no value on the grid: all cells are missing.")


def _fit_bytes(plan: _Plan, grid: Grid, progress: Progress) -> bool:
    """Whether all classes in reach are whole numbers from 0 to 254."""
    window = source_window(plan.info.grid, grid) or plan.info.grid.whole
    with RasterReader(plan.info.path) as reader:
        for band in plan.info.bands:
            if band.dtype == "uint8" and band.nodata == BYTE_NODATA:
                continue
            for row in range(window.row, window.row + window.height, _BLOCK):
                progress.check()
                height = min(_BLOCK, window.row + window.height - row)
                values = reader.read([band.index], Window(window.col, row, window.width, height))
                known = values[np.isfinite(values)]
                whole = np.equal(known, np.rint(known)) & (known >= 0) & (known < BYTE_NODATA)
                if not whole.all():
                    return False
    return True


def _descriptions(plan: _Plan) -> list[str]:
    """Return what the bands are called: a date where it tells them apart, else their names."""
    if plan.day is not None:
        return [band.name for band in plan.info.bands]
    with open_raster(plan.info.path) as dataset:
        days = [date_in_description(dataset.descriptions[b.index - 1]) for b in plan.info.bands]
    return [day.isoformat() if day else b.name for day, b in zip(days, plan.info.bands)]


def _class_style(info: RasterInfo, codes: Sequence[int]) -> str:
    """Return a legend of classes in the colours of the source where it has any."""
    with open_raster(info.path) as dataset:
        try:
            colours = dataset.colormap(info.bands[0].index)
        except ValueError:  # what rasterio says where there is no colour table
            colours = {}
    entries = []
    for number, code in enumerate(codes):
        colour = _COLOURS[number % len(_COLOURS)]
        if code in colours:
            colour = "#{:02x}{:02x}{:02x}".format(*colours[code][:3])
        entries.append((code, str(code), colour))
    return paletted_style(entries)
