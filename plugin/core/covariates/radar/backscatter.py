"""A series of radar backscatter on one grid, from images as they are downloaded."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Extent, Grid, Window
from ...rasters.styles import continuous_style
from ...rasters.workers import results_in_order
from ...rasters.writing import RasterWriter
from ..rows import listed
from ..table import RasterInput
from .backscatter_bands import DEFAULT_BANDS, POLARISATIONS, ROLES, parse_bands
from .backscatter_blocks import BlockMaker, Marks, Preparation
from .backscatter_grid import block_windows, common_grid, cut_grid
from .backscatter_passes import Pass, find_passes
from .backscatter_units import check_units

UNITS = ("db", "linear")
_BAND_UNITS = {"VV": "dB", "VH": "dB", "angle": "degree"}
_CHECKING = 0.05  # of the run
_GREYS = ("#000000", "#404040", "#808080", "#c0c0c0", "#ffffff")


def prepare_backscatter(
    inputs: Sequence[RasterInput],
    folder: str | Path,
    *,
    bands: str = DEFAULT_BANDS,
    preparation: Preparation | None = None,
    extent: Extent | None = None,
    extent_crs: str = "",
    threads: int = 2,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a raster of masked, aggregated and smoothed backscatter for each pass.

    Backscatter outside its range is missing; the rest is averaged in linear power, weighted by
    area, over the cells of one grid for all dates; the Gaussian runs over those means, and the
    result is in dB. The angle is averaged plainly. Slices, tiles and single bands of one pass
    make one raster. Block by block; the same whatever the block and the number of threads.

    Parameters
    ----------
    inputs : sequence of RasterInput
        Images in one coordinate reference system.
    folder : path
        Gets ``s1_YYYYMMDD.tif``, or ``s1_asc_YYYYMMDD.tif`` and ``s1_desc_YYYYMMDD.tif`` where
        the orbit direction is told. All appear when the last is complete.
    bands : str
        What the bands are called; see `parse_bands`.
    preparation : Preparation, optional
    extent, extent_crs : (xmin, ymin, xmax, ymax) and str, optional
        Only the cells that this area touches; in the images' system where none is named.
    threads : int
    progress : Progress, optional

    Returns
    -------
    list of Path
        The rasters in the order of their dates. Passes without any valid cell are left out.

    Raises
    ------
    InputError
        For settings or images that contradict each other; see `find_passes`, `common_grid` and
        `check_units`.
    RasterError
        For images that cannot be read, and rasters that cannot be written.
    """
    progress = progress or Progress()
    preparation = preparation or Preparation()
    preparation.check()
    passes = find_passes(
        inputs, parse_bands(bands), decibels=preparation.decibels, progress=progress
    )
    grid = common_grid([band for one in passes for band in one.bands], preparation.resolution)
    if extent is not None:
        grid = cut_grid(grid, extent, extent_crs)
        passes = _touching(passes, grid, progress)
    progress.info(f"Grid of all dates: {grid.describe()}.")
    members = [band for one in passes for band in one.bands]
    factors = {}
    for number, band in enumerate(members, start=1):
        factors[band.path, band.band] = check_units(
            band, decibels=preparation.decibels, progress=progress
        )
        progress.step(_CHECKING * number / len(members))
    roles = tuple(role for role in ROLES if any(one.of(role) for one in passes))
    maker = BlockMaker(preparation, grid, roles, factors, Marks())
    target = Path(folder).absolute()
    with bounded_cache(), _all_at_once(target) as temporary:
        rest = progress.part(_CHECKING, 1.0)
        names = _write_all(maker, passes, temporary, threads, rest)
    maker.marks.tell(members, progress)
    return [target / name for name in names]


def _touching(passes: Sequence[Pass], grid: Grid, progress: Progress) -> tuple[Pass, ...]:
    """Leave out the images beside a grid."""
    kept = []
    for one in passes:
        bands = tuple(band for band in one.bands if grid.window_of(band.grid.bounds))
        if any(band.role in POLARISATIONS for band in bands):
            kept.append(replace(one, bands=bands))
    if not kept:
        raise InputError(
            f"No image touches EXTENT ({grid.describe()}).", "Check EXTENT and the images."
        )
    if len(kept) < len(passes):
        progress.warn(f"{len(passes) - len(kept)} dates have no image in EXTENT.")
    return tuple(kept)


def _write_all(
    maker: BlockMaker,
    passes: Sequence[Pass],
    folder: Path,
    threads: int,
    progress: Progress,
) -> list[str]:
    """Write all passes; return the names of the rasters that hold anything."""
    members = [band for one in passes for band in one.bands]
    windows = block_windows(maker.grid, members, threads if len(passes) < threads else 1)
    total = len(passes) * len(windows)

    def work(job: tuple[Pass, Window], stop: threading.Event) -> np.ndarray:
        return maker.block(*job, stop)

    jobs = ((one, window) for one in passes for window in windows)
    names, empty = [], []
    with contextlib.closing(results_in_order(work, jobs, threads, progress)) as blocks:
        for done, one in enumerate(passes):
            filled = np.zeros(len(maker.roles), dtype=np.int64)
            with _writer(maker, one, folder) as writer:
                for number, window in enumerate(windows):
                    block = next(blocks)
                    filled += np.isfinite(block).sum(axis=(1, 2))
                    writer.write(window, block)
                    progress.step((done * len(windows) + number + 1) / total)
            if _tell_filled(maker, one, filled, progress):
                names.append(one.file)
            else:
                empty.append(one.file)
                for suffix in (".tif", ".qml"):
                    (folder / one.file).with_suffix(suffix).unlink()
    _check_written(maker, names, empty, progress)
    return names


def _writer(maker: BlockMaker, one: Pass, folder: Path) -> RasterWriter:
    low, high = maker.preparation.range_of(maker.roles[0])
    return RasterWriter(
        folder / one.file,
        maker.grid,
        maker.roles,
        day=one.day,
        style=continuous_style(low, high, colours=_GREYS),
        units=[_BAND_UNITS[role] for role in maker.roles],
    )


def _tell_filled(maker: BlockMaker, one: Pass, filled: np.ndarray, progress: Progress) -> bool:
    """Say how much of a raster has values; return whether a polarisation has any."""
    cells = maker.grid.width * maker.grid.height
    shares = [f"{role} {100 * count / cells:.4g} %" for role, count in zip(maker.roles, filled)]
    progress.info(f"{one.file}: {', '.join(shares)} of the cells have values.")
    for role, count in zip(maker.roles, filled):
        if role in POLARISATIONS and not count and one.of(role):
            low, high = maker.preparation.range_of(role)
            progress.warn(f"{one.file}: no {role} lies within {low:g} to {high:g} dB.")
    return any(count for role, count in zip(maker.roles, filled) if role in POLARISATIONS)


def _check_written(
    maker: BlockMaker, names: Sequence[str], empty: Sequence[str], progress: Progress
) -> None:
    if not names:
        ranges = ", ".join(
            "{} {:g} to {:g} dB".format(role, *maker.preparation.range_of(role))
            for role in maker.roles
            if role in POLARISATIONS
        )
        raise InputError(
            f"No image has a value within the valid range ({ranges}).",
            "Check the ranges, UNITS and the nodata value of the images.",
        )
    if empty:
        progress.warn(f"Rasters without any value are not written: {listed(empty)}.")


@contextlib.contextmanager
def _all_at_once(folder: Path) -> Iterator[Path]:
    """Give a temporary folder whose files move to `folder` when all are complete."""
    made = not folder.exists()
    temporary = folder / f".part-{secrets.token_hex(8)}"
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"The folder '{folder}' cannot be written ({error.strerror or error}).",
            "Choose a folder that you may write to.",
        ) from error
    try:
        yield temporary
        for path in sorted(temporary.iterdir()):
            _move(path, folder / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # not empty: the files are there
                folder.rmdir()


def _move(path: Path, target: Path) -> None:
    try:
        path.replace(target)
    except OSError as error:
        raise RasterError(
            f"'{target}' cannot be replaced ({error.strerror or error}).",
            "Remove the layer from QGIS, or choose another folder.",
        ) from error
