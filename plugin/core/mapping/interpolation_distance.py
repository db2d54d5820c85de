"""Coordinates in which straight distances are metres on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..rasters.ellipsoid import on_ellipsoid
from ..rasters.grids import (
    GDAL_ERRORS,
    Grid,
    crs_name,
    parse_crs,
    place,
    transform_points,
)

GEOGRAPHIC = "EPSG:4326"
_MEAN_RADIUS = 6_371_008.8
_TRUE = 0.01  # scale error of a projection above which distances are taken on the globe


@dataclass(frozen=True)
class Metric:
    """Turns positions on a grid's system into coordinates, and their distances into metres.

    On a projection whose scale is right to 1 % at the grid, distances are those of the plane;
    else, and in degrees, those on the WGS 84 ellipsoid (from the chord, right to some
    millionths up to 500 km).

    Attributes
    ----------
    crs : str
        The grid's.
    factor : float
        Metres that a unit stands for; 0 on the globe.
    origin : (float, float)
        Near the grid: subtracted, so that digits are not lost.
    """

    crs: str
    factor: float
    origin: tuple[float, float]

    @property
    def on_globe(self) -> bool:
        """Whether distances are taken on the ellipsoid."""
        return not self.factor

    def coordinates(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the coordinates (n, 2) or, on the globe, (n, 3), in metres; NaN without place."""
        flat: list[Any] = [np.asarray(values, dtype=np.float64).ravel() for values in (x, y)]
        if not self.on_globe:
            return np.column_stack([(v - o) * self.factor for v, o in zip(flat, self.origin)])
        lon, lat = flat
        if not parse_crs(self.crs).is_geographic:
            lon, lat = transform_points(self.crs, GEOGRAPHIC, lon, lat)
        return on_ellipsoid(lon, lat)

    def metres(self, straight: np.ndarray) -> np.ndarray:
        """Return the distances on the ground of straight ones."""
        if not self.on_globe:
            return straight
        half = np.minimum(straight / (2 * _MEAN_RADIUS), 1.0)
        return np.asarray(2 * _MEAN_RADIUS * np.arcsin(half))

    def straight(self, metres: float) -> float:
        """Return the straight distance of one on the ground."""
        if not self.on_globe:
            return metres
        half = min(metres / (2 * _MEAN_RADIUS), math.pi / 2)
        return 2 * _MEAN_RADIUS * math.sin(half)


def metric_of(grid: Grid) -> Metric:
    """Return how distances on a grid are measured.

    Raises
    ------
    InputError
        Where the system has no place on the Earth and does not say its unit.
    """
    origin = (grid.transform.c, grid.transform.f)
    crs = parse_crs(grid.crs)
    if crs.is_geographic:
        return Metric(grid.crs, 0.0, origin)
    try:
        factor = float(crs.linear_units_factor[1])
    except (*GDAL_ERRORS, ValueError):
        factor = 0.0
    if factor <= 0:
        raise InputError(
            f"The coordinate reference system of the grid, {crs_name(grid.crs)}, does not say "
            "how long its unit is.",
            "Choose a grid in a projected system, such as UTM.",
        )
    plane = Metric(grid.crs, factor, origin)
    return Metric(grid.crs, 0.0, origin) if _is_distorted(grid, plane) else plane


def _is_distorted(grid: Grid, plane: Metric) -> bool:
    """Whether lengths on the plane are wrong by more than 1 % somewhere at the grid's edge."""
    globe = Metric(grid.crs, 0.0, plane.origin)
    length = 100.0 / plane.factor
    x, y = [], []
    for col in (0, grid.width / 2, grid.width):
        for row in (0, grid.height / 2, grid.height):
            one = place(grid.transform, col, row)
            x += [one[0], one[0] + length, one[0]]
            y += [one[1], one[1], one[1] + length]
    try:
        points = globe.coordinates(np.array(x), np.array(y)).reshape(-1, 3, 3)
    except (InputError, *GDAL_ERRORS):
        return False
    true = np.linalg.norm(points[:, 1:] - points[:, :1], axis=2)
    known = np.isfinite(true)
    return bool(known.any() and np.abs(true[known] / 100.0 - 1).max() > _TRUE)
