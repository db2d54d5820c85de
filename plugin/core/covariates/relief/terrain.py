"""Terrain covariates of a DEM as bands of a raster: formulas in `surface`, wetness in `flow`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Window
from ...rasters.reading import RasterReader
from ...rasters.workers import compute_in_order
from ...rasters.writing import RasterWriter
from .dem import Dem
from .flow import upslope_cells, wetness
from .flow_engine import bytes_per_cell
from .surface import METHODS, WINDOW_REACH, WINDOWED, derivatives, slope_tangent, terrain_parameters

PARAMETERS = ("elevation", *WINDOWED, "twi")
UNITS = {
    "elevation": "m",
    "slope": "degree",
    "aspect": "degree",
    "profile_curvature": "1/m",
    "plan_curvature": "1/m",
    "tangential_curvature": "1/m",
    "mean_curvature": "1/m",
    "elevation_range": "m",
}
_STRETCH = 1024  # cells along a side that are read at a time for the whole DEM
_TOLD = 1.0  # GB of memory from which the user is told


def terrain_covariates(
    path: str | Path,
    band: int,
    output: str | Path,
    *,
    method: str = "zevenbergen-thorne",
    parameters: Sequence[str] | None = None,
    smoothing: float = 0.0,
    block: int = 256,
    threads: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Write terrain parameters of a DEM as bands of a GeoTIFF.

    Computed block by block, in constant memory, and the same whatever the block and the number
    of threads; only twi holds the whole DEM in memory. With `smoothing`, elevation stays as it
    was read and all else is computed from the smoothed surface.

    Parameters
    ----------
    path, band
        The DEM: a raster in a projected coordinate system; elevation in metres, or in feet where
        the band says so.
    output
        The GeoTIFF to write.
    method : {"zevenbergen-thorne", "evans", "horn"}
        Surface laid over each 3×3 window.
    parameters : sequence of str, optional
        Names out of `PARAMETERS`; all where empty. Bands are written in the order of
        `PARAMETERS`.
    smoothing : float
        Standard deviation, in cells, of the Gaussian that smooths the DEM first; 0 does not.
    block : int
        Edge of the blocks in cells.
    threads : int
        How many blocks are computed, and how many compressed, at a time.

    Returns
    -------
    Path
        The raster written.

    Raises
    ------
    RasterError
        Where the DEM is in degrees, rotated, or without any elevation.
    InputError
        For an unknown method or parameter, or a negative `smoothing`.
    """
    progress = progress or Progress()
    names = _check_settings(method, parameters, smoothing)
    with bounded_cache(), RasterReader(path, progress=progress) as reader:
        dem = Dem(reader, band, smoothing, progress)
        cells = dem.grid.width * dem.grid.height
        before = 0.7 if "twi" in names else 0.0
        upslope = _whole_upslope(dem, progress.part(0.0, before)) if before else None
        rest = progress.part(before, 1.0)
        units = [UNITS.get(name, "") for name in names]
        seen = valid = 0
        with RasterWriter(output, dem.grid, names, units=units, threads=threads) as writer:

            def work(window: Window) -> tuple[np.ndarray, int]:
                return _block(dem, window, method, names, upslope)

            def take(window: Window, result: tuple[np.ndarray, int]) -> None:
                nonlocal seen, valid
                writer.write(window, result[0])
                valid += result[1]
                seen += window.width * window.height
                rest.step(seen / cells)

            compute_in_order(work, dem.grid.windows(block), take, threads, rest)
            if not valid:
                raise RasterError(
                    f"Band {band} of the DEM '{dem.name}' holds no elevation, only missing cells.",
                    "Check the band and its nodata value.",
                )
    if valid < cells:
        progress.info(f"{cells - valid} cells of the DEM '{dem.name}' have no elevation.")
    return Path(output)


def _check_settings(
    method: str, parameters: Sequence[str] | None, smoothing: float
) -> tuple[str, ...]:
    """Return the wanted bands in the order of `PARAMETERS`."""
    if method not in METHODS:
        raise InputError(f'There is no terrain method "{method}".', f"Use {', '.join(METHODS)}.")
    unknown = [name for name in parameters or () if name not in PARAMETERS]
    if unknown:
        raise InputError(
            f"There is no terrain parameter {', '.join(unknown)}.", f"Use {', '.join(PARAMETERS)}."
        )
    if not (math.isfinite(smoothing) and smoothing >= 0.0):
        raise InputError(
            f"The smoothing of {smoothing:g} cells is not possible.", "Give 0 or more cells."
        )
    return tuple(name for name in PARAMETERS if not parameters or name in parameters)


def _whole_upslope(dem: Dem, progress: Progress) -> np.ndarray:
    """Return the upslope cells of the whole DEM, float64."""
    cells = dem.grid.width * dem.grid.height
    memory = cells * bytes_per_cell(cells) / 1e9
    if memory >= _TOLD:
        progress.info(
            f"The wetness index holds all {cells} cells of '{dem.name}' in memory: about "
            f"{memory:.0f} GB."
        )
    surface = np.empty(dem.grid.shape)
    for window in dem.grid.windows(_STRETCH):
        progress.check()
        surface[window.slices] = dem.surface(window, 0)[1]
    return upslope_cells(surface, dem.cell_x, dem.cell_y, progress)


def _block(
    dem: Dem, window: Window, method: str, names: tuple[str, ...], upslope: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Compute one block, float32 of shape (bands, rows, columns); count its valid cells."""
    halo = WINDOW_REACH
    elevation, z = dem.surface(window, halo)
    windowed = [name for name in names if name in WINDOWED]
    found = terrain_parameters(z, dem.cell_x, dem.cell_y, method, windowed) if windowed else {}
    if upslope is not None:
        tangent = slope_tangent(derivatives(z, dem.cell_x, dem.cell_y, method))
        inner = tangent[halo:-halo, halo:-halo]
        found["twi"] = wetness(upslope[window.slices], inner, dem.cell_x, dem.cell_y)
    bands = np.empty((len(names), window.height, window.width), dtype=np.float32)
    for band, name in zip(bands, names):
        if name == "elevation":
            band[:] = elevation
        elif name == "twi":
            band[:] = found[name]
        else:
            band[:] = found[name][halo:-halo, halo:-halo]
    return bands, int(np.isfinite(elevation).sum())
