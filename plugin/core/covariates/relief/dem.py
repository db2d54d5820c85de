"""A digital elevation model: heights in metres on cells in metres."""

from __future__ import annotations

import math
import threading

import numpy as np

from ...errors import RasterError
from ...progress import Progress
from ...rasters.grids import GDAL_ERRORS, Grid, Window, crs_name, parse_crs, transform_points
from ...rasters.reading import RasterReader, describe_raster
from .surface import smooth, smoothing_reach

_SURVEY_FOOT = 1200.0 / 3937.0
_METRES = {
    **dict.fromkeys(("", "m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
    **dict.fromkeys(("dm", "decimetre", "decimetres", "decimeter", "decimeters"), 0.1),
    **dict.fromkeys(("ft", "foot", "feet", "international foot", "international feet"), 0.3048),
    **dict.fromkeys(
        ("us-ft", "us_ft", "ftus", "us foot", "us survey foot", "us survey feet",
         "survey foot", "foot us", "foot_us"),
        _SURVEY_FOOT,
    ),
}  # fmt: skip
_STRETCH = 0.02  # how far a projection may stretch cells before slopes are called wrong
_SEMI_MAJOR, _SQUARED_ECCENTRICITY = 6378137.0, 0.00669437999014  # WGS 84


class Dem:
    """A band of an open raster as elevation in metres; safe to read from several threads.

    Parameters
    ----------
    reader : RasterReader
        The raster, in a projected coordinate system.
    band : int
        The band of heights: in metres, or in the unit that it declares.
    smoothing : float
        Standard deviation in cells of the Gaussian behind :meth:`surface`; 0 does not smooth.
    progress : Progress
        Hears of heights that are converted, and of units and projections that spoil slopes.

    Raises
    ------
    RasterError
        Where the raster is in degrees, has no cell size in metres, or is rotated.
    """

    def __init__(
        self, reader: RasterReader, band: int, smoothing: float, progress: Progress
    ) -> None:
        self.name = reader.path.name
        self.grid: Grid = reader.grid
        self.band = band
        self._reader = reader
        self._smoothing = smoothing
        self._lock = threading.Lock()
        _check_grid(self.grid, self.name)
        factor = _metres_of_map_unit(self.grid, self.name)
        self.cell_x = self.grid.transform.a * factor
        self.cell_y = -self.grid.transform.e * factor
        self._to_metres = self._height_factor(factor, progress)
        self._warn_of_stretch(progress)

    def elevation(self, window: Window, halo: int = 0) -> np.ndarray:
        """Elevation in metres of a window and `halo` cells around it; NaN beyond the raster."""
        with self._lock:
            heights = self._reader.read([self.band], window.padded(halo))[0]
        if self._to_metres != 1.0:
            heights *= self._to_metres
        return heights

    def surface(self, window: Window, halo: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the elevation of a window, and its smoothed surface with `halo` cells around."""
        reach = smoothing_reach(self._smoothing)
        z = self.elevation(window, halo + reach)
        around = halo + reach
        smoothed = smooth(z, self._smoothing)
        height, width = z.shape
        return (
            z[around : height - around, around : width - around],
            smoothed[reach : height - reach, reach : width - reach],
        )

    def _height_factor(self, map_unit: float, progress: Progress) -> float:
        """Return metres in the unit that the band declares, 1 where it declares none."""
        units = _declared_unit(self._reader, self.band)
        factor = _METRES.get(units.lower())
        if factor is None:
            progress.warn(
                f"The heights of '{self.name}' are in '{units}', an unknown unit, and are taken "
                "as metres."
            )
            return 1.0
        if factor != 1.0:
            progress.info(f"The heights of '{self.name}' are in {units} and taken to metres.")
        elif not units and not math.isclose(map_unit, 1.0):
            progress.warn(
                f"The map units of '{self.name}' are {map_unit:g} m, and its heights do not say "
                "their unit: they are taken as metres. If they are in feet, declare it "
                "(gdal_edit.py -units ft) or multiply them by 0.3048 first."
            )
        return factor

    def _warn_of_stretch(self, progress: Progress) -> None:
        ground = ground_size(self.grid)
        nominal = (abs(self.cell_x), abs(self.cell_y))
        if ground is None or all(
            abs(true / said - 1.0) <= _STRETCH for true, said in zip(ground, nominal)
        ):
            return
        progress.warn(
            f"A cell of '{self.name}' measures {nominal[0]:.4g} × {nominal[1]:.4g} m in "
            f"{crs_name(self.grid.crs)} but {ground[0]:.4g} × {ground[1]:.4g} m on the ground: "
            "slopes and curvatures are wrong by that. Reproject the DEM to a coordinate system "
            "that keeps distances, such as the area's UTM zone, with 'Warp (reproject)'."
        )


def ground_size(grid: Grid) -> tuple[float, float] | None:
    """Return width and height in metres on the ground of the grid's middle cell, or None.

    Along the grid's axes on the WGS 84 ellipsoid. None where PROJ cannot tell.
    """
    xmin, ymin, xmax, ymax = grid.bounds
    x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
    across, along = grid.resolution
    try:
        longitude, latitude = transform_points(
            grid.crs,
            "EPSG:4326",
            [x - across / 2, x + across / 2, x, x],
            [y, y, y - along / 2, y + along / 2],
        )
    except GDAL_ERRORS:
        return None
    if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
        return None
    return (
        _distance(longitude[:2], latitude[:2]),
        _distance(longitude[2:], latitude[2:]),
    )


def _distance(longitude: np.ndarray, latitude: np.ndarray) -> float:
    """Return metres between two points near each other on the ellipsoid."""
    phi = math.radians(float(latitude.mean()))
    turn = (float(longitude[1] - longitude[0]) + 180.0) % 360.0 - 180.0
    w = 1.0 - _SQUARED_ECCENTRICITY * math.sin(phi) ** 2
    meridian = _SEMI_MAJOR * (1.0 - _SQUARED_ECCENTRICITY) / w**1.5
    north = meridian * math.radians(float(latitude[1] - latitude[0]))
    east = _SEMI_MAJOR / math.sqrt(w) * math.cos(phi) * math.radians(turn)
    return math.hypot(north, east)


def _check_grid(grid: Grid, name: str) -> None:
    if grid.is_geographic:
        raise RasterError(
            f"The DEM '{name}' is in degrees ({crs_name(grid.crs)}); slopes need metres.",
            "Reproject it to a coordinate system in metres, such as the area's UTM zone, "
            "with 'Warp (reproject)'.",
        )
    if grid.is_rotated:
        raise RasterError(
            f"The rows of the DEM '{name}' do not run from west to east.",
            "Bring it to a north-up grid with 'Warp (reproject)'.",
        )


def _metres_of_map_unit(grid: Grid, name: str) -> float:
    try:
        factor = float(parse_crs(grid.crs).linear_units_factor[1])
    except ValueError as error:  # rasterio's CRSError
        raise RasterError(
            f"The DEM '{name}' has no projected coordinate system ({crs_name(grid.crs)}).",
            "Assign it the projected one that it is in (Raster, Projections, Assign Projection).",
        ) from error
    return factor


def _declared_unit(reader: RasterReader, band: int) -> str:
    try:
        return describe_raster(reader.path, dated=False).band(band).units.strip()
    except RasterError:  # several bands without names: fine for a DEM, but they tell no units
        return ""
