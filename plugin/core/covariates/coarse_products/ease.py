"""Rasters on EASE-Grid 2.0: averaged by area, as shares of classes, or georeferenced anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Iterable, Sequence, Union

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.easegrid import EaseGrid, ease_grid
from ...rasters.easegrid_files import PlainBand, PlainRaster, describe_plain
from ...rasters.grids import Extent, Window
from ...rasters.names import date_in_name
from ...rasters.reading import BandInfo, RasterInfo, RasterReader, describe_raster
from ...rasters.writing import RasterWriter
from ..rows import listed
from ..table import RasterInput
from .ease_means import Aggregation

MODES = ("aggregate", "snap")
_BLOCK = 512

_Raster = Union[RasterInfo, PlainRaster]
_Band = Union[BandInfo, PlainBand]


@dataclass(frozen=True)
class _Job:
    """One file to write: the bands of one raster that show the same day, or no day."""

    source: _Raster
    output: Path
    day: date | None
    bands: tuple[_Band, ...]


def to_ease_grid(
    inputs: Sequence[RasterInput],
    cell: str,
    folder: str | Path,
    *,
    mode: str = "aggregate",
    classes: bool = False,
    extent: tuple[Extent, str] | None = None,
    minimum_share: float = 0.5,
    progress: Progress | None = None,
) -> list[Path]:
    """Bring rasters onto the cells of an EASE-Grid 2.0.

    Parameters
    ----------
    inputs : sequence of RasterInput
        Each raster becomes a file, and each day of its bands where they have days of their own:
        ``<name>_YYYYMMDD.tif``, or ``<name>.tif`` without date.
    cell : {"36km", "25km", "9km", "3km", "2.25km"}
        The grid.
    folder : path
        Where the files go.
    mode : {"aggregate", "snap"}
        The mean weighted by area, in the grid's equal-area projection; or the same cells with the
        georeference of the definition, for rasters whose own is lost or rounded.
    classes : bool
        Write the share of the valid area that each class covers, a band a class, instead of the
        mean.
    extent : (edges, crs), optional
        Only the cells it touches; without it those that the raster touches.
    minimum_share : float
        A cell is missing where less than this share of its area has values.
    progress : Progress, optional

    Returns
    -------
    list of Path
        The files written, undated ones first, then in order of date.

    Raises
    ------
    InputError
        For no raster, classes with `mode` snap, two rasters that would become one file, more than
        64 classes or classes that are no whole numbers.
    RasterError
        For rasters that cannot be read, or do not fit the grid (snap).
    """
    progress = progress or Progress()
    ease = ease_grid(cell)
    _check(inputs, mode, classes, minimum_share)
    window = ease.touched(*extent) if extent is not None else None
    described: list[_Raster] = []
    for raster in inputs:
        progress.check()
        day = raster.fallback_date
        if mode == "snap":
            described.append(describe_plain(raster.path, day))
        else:
            described.append(describe_raster(raster.path, fallback_date=day, progress=progress))
    jobs = _jobs(described, Path(folder).absolute())
    aggregation = Aggregation(ease, window, classes, minimum_share, _BLOCK)
    for done, job in enumerate(jobs):
        part = progress.part(done / len(jobs), (done + 1) / len(jobs))
        part.step(0.0)
        if isinstance(job.source, RasterInfo):
            aggregation.write(job.source, job.bands, job.day, job.output, part)
        else:
            _snap(job, job.source, ease, window, part)
        part.report(1.0)
    return [job.output for job in jobs]


def _check(inputs: Sequence[RasterInput], mode: str, classes: bool, minimum_share: float) -> None:
    if not inputs:
        raise InputError("No raster is given.", "Add the rasters to bring onto the grid.")
    if mode not in MODES:
        raise InputError(f"The mode '{mode}' is unknown.", f"Choose from {', '.join(MODES)}.")
    if mode == "snap" and classes:
        raise InputError(
            "Shares of classes are asked for with MODE snap, which keeps the cells as they are.",
            "Use MODE aggregate, or leave CLASSES off.",
        )
    if not 0 <= minimum_share <= 1:
        raise InputError(f"The smallest share of valid area is {minimum_share:g}.", "Give 0 to 1.")


def _jobs(rasters: Iterable[_Raster], folder: Path) -> list[_Job]:
    jobs = []
    for raster in rasters:
        stem = date_in_name(raster.path.stem)[1] or raster.path.stem
        days = sorted({band.date or date.min for band in raster.bands})
        for day in days:
            bands = tuple(band for band in raster.bands if (band.date or date.min) == day)
            dated = None if day == date.min else day
            name = f"{stem}_{day:%Y%m%d}.tif" if dated else f"{stem}.tif"
            jobs.append(_Job(raster, folder / name, dated, bands))
    _refuse_twins(jobs)
    return sorted(jobs, key=lambda job: (job.day or date.min, job.output.name))


def _refuse_twins(jobs: Sequence[_Job]) -> None:
    sources: dict[str, list[Path]] = {}
    for job in jobs:
        sources.setdefault(job.output.name.lower(), []).append(job.source.path)
        if job.output == job.source.path:
            raise InputError(
                f"'{job.output}' would be written over itself.", "Choose another folder."
            )
    twins = [
        f"{name} ({', '.join(str(path) for path in paths)})"
        for name, paths in sources.items()
        if len(paths) > 1
    ]
    if twins:
        raise InputError(
            f"Several rasters would become the same file: {listed(twins)}.",
            "Mosaic the tiles of a day first (Merge), or give rasters different names.",
        )


def _snap(
    job: _Job, raster: PlainRaster, ease: EaseGrid, wanted: Window | None, progress: Progress
) -> None:
    own = raster.window_in(ease)
    window = own if wanted is None else own.overlap(wanted)
    if window is None:
        raise RasterError(
            f"'{raster.path.name}' has no cell in the extent: it holds columns {own.col} to "
            f"{own.col + own.width - 1}, rows {own.row} to {own.row + own.height - 1}.",
            "Choose an extent inside it.",
        )
    grid = ease.grid.part(window)
    names = [band.name for band in job.bands]
    units = [band.units for band in job.bands]
    indexes = [band.index for band in job.bands]
    blocks = grid.windows(_BLOCK)
    with (
        RasterReader(raster.path, progress=progress) as reader,
        RasterWriter(job.output, grid, names, day=job.day, units=units) as writer,
    ):
        for done, block in enumerate(blocks):
            progress.step(done / len(blocks))
            inside = block.shifted(window.col - own.col, window.row - own.row)
            writer.write(block, reader.read(indexes, inside))
    progress.info(
        f"{job.output.name}: columns {window.col} to {window.col + window.width - 1}, rows "
        f"{window.row} to {window.row + window.height - 1} of the {ease.name} grid."
    )
