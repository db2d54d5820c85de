"""Terrain covariates of a DEM as bands of a raster: formulas in `surface`, wetness in `flow`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError, RasterError
from ..progress import Progress
from ..rasters.grids import Grid, Window, crs_name, parse_crs
from ..rasters.reading import RasterReader, describe_raster
from ..rasters.writing import RasterWriter
from .flow import wetness_index
from .surface import (
    METHODS,
    WINDOW_REACH,
    WINDOWED,
    derivatives,
    slope_tangent,
    smooth,
    smoothing_reach,
    terrain_parameters,
)

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
_FEET = {"ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "us-ft": 1200.0 / 3937.0}
_FEET.update({"us survey foot": 1200.0 / 3937.0, "ftus": 1200.0 / 3937.0})


def terrain_covariates(
    path: str | Path,
    band: int,
    output: str | Path,
    *,
    method: str = "zevenbergen-thorne",
    parameters: Sequence[str] | None = None,
    smoothing: float = 0.0,
    block: int = 256,
    progress: Progress | None = None,
) -> Path:
    """Write terrain parameters of a DEM as bands of a GeoTIFF.

    Computed block by block and the same whatever the block; only twi holds the whole DEM in
    memory. With `smoothing`, elevation stays as it was read and all else is computed from the
    smoothed surface.

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
    with RasterReader(path, progress=progress) as reader:
        dem = _Dem(reader, Path(path), band, smoothing, progress)
        index = _whole_wetness(dem, method, progress) if "twi" in names else None
        rest = progress.part(0.7 if index is not None else 0.0, 1.0)
        units = [UNITS.get(name, "") for name in names]
        with RasterWriter(output, dem.grid, names, units=units) as writer:
            windows = dem.grid.windows(block)
            valid = 0
            for number, window in enumerate(windows):
                values = _block(dem, window, method, names, index)
                valid += int(np.isfinite(dem.elevation(window, 0)).sum())
                writer.write(window, values)
                rest.step((number + 1) / len(windows))
            if not valid:
                raise RasterError(
                    f"Band {band} of the DEM '{dem.name}' holds no elevation, only missing cells.",
                    "Check the band and its nodata value.",
                )
    missing = dem.grid.width * dem.grid.height - valid
    if missing:
        progress.info(f"{missing} cells of the DEM '{dem.name}' have no elevation.")
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


class _Dem:
    """A DEM in metres on a grid in metres."""

    def __init__(
        self, reader: RasterReader, path: Path, band: int, smoothing: float, progress: Progress
    ) -> None:
        self.name = path.name
        self.grid: Grid = reader.grid
        self._reader = reader
        self._band = band
        self._smoothing = smoothing
        self._check_grid()
        factor = float(parse_crs(self.grid.crs).linear_units_factor[1])
        self.cell_x = self.grid.transform.a * factor
        self.cell_y = -self.grid.transform.e * factor
        self._to_metres = _height_factor(path, band)
        if self._to_metres != 1.0:
            progress.info(f"The elevations of '{self.name}' are in feet and taken to metres.")
        elif not math.isclose(factor, 1.0):
            progress.warn(
                f"The map units of '{self.name}' are {factor:g} m; its elevations do not say "
                "their unit and are taken as metres."
            )

    def _check_grid(self) -> None:
        if self.grid.is_geographic:
            raise RasterError(
                f"The DEM '{self.name}' is in degrees ({crs_name(self.grid.crs)}); slopes need "
                "metres.",
                "Reproject it to a coordinate system in metres, such as the area's UTM zone, "
                "with 'Warp (reproject)'.",
            )
        if self.grid.is_rotated:
            raise RasterError(
                f"The rows of the DEM '{self.name}' do not run from west to east.",
                "Bring it to a north-up grid with 'Warp (reproject)'.",
            )

    def elevation(self, window: Window, halo: int) -> np.ndarray:
        """Elevation in metres of a window and `halo` cells around it; NaN beyond the raster."""
        return self._reader.read([self._band], window.padded(halo))[0] * self._to_metres

    def surface(self, window: Window, halo: int) -> np.ndarray:
        """Like `elevation`, smoothed."""
        reach = smoothing_reach(self._smoothing)
        z = smooth(self.elevation(window, halo + reach), self._smoothing)
        return z[reach : z.shape[0] - reach, reach : z.shape[1] - reach]


def _height_factor(path: Path, band: int) -> float:
    """Return metres in the unit that the band declares, 1 where it declares none."""
    try:
        units = describe_raster(path, dated=False).band(band).units
    except RasterError:  # several bands without names: fine for a DEM, but they tell no units
        return 1.0
    return _FEET.get(units.strip().lower(), 1.0)


def _whole_wetness(dem: _Dem, method: str, progress: Progress) -> np.ndarray:
    z = dem.surface(dem.grid.whole, 1)
    tangent = slope_tangent(derivatives(z, dem.cell_x, dem.cell_y, method))
    part = progress.part(0.0, 0.7)
    inner = (slice(1, -1), slice(1, -1))
    return wetness_index(z[inner], tangent[inner], dem.cell_x, dem.cell_y, part).astype(np.float32)


def _block(
    dem: _Dem, window: Window, method: str, names: tuple[str, ...], index: np.ndarray | None
) -> np.ndarray:
    """Compute one block, shape (bands, rows, columns)."""
    halo = WINDOW_REACH
    windowed = [name for name in names if name in WINDOWED]
    found: dict[str, np.ndarray] = {}
    if windowed:
        z = dem.surface(window, halo)
        values = terrain_parameters(z, dem.cell_x, dem.cell_y, method, windowed)
        found = {name: value[halo:-halo, halo:-halo] for name, value in values.items()}
    if "elevation" in names:
        found["elevation"] = dem.elevation(window, 0)
    if index is not None:
        found["twi"] = index[window.slices]
    return np.stack([found[name] for name in names])
