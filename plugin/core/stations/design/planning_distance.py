"""Places of a map in metres, so that distances between them can be measured."""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from ...rasters.ellipsoid import on_ellipsoid
from ...rasters.grids import Grid, crs_name, parse_crs, place, transform_points

MOST_DISTORTION = 0.005
"""Up to this relative error distances are measured on the map, beyond it on the ellipsoid."""

_LON_LAT = "EPSG:4326"


def metric_positions(grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return places in the system of a grid as coordinates in metres, (n, 2) or (n, 3).

    Map coordinates, in metres whatever the unit of the system, where the map is true to scale
    within 0.5 % at the middle of the grid (UTM is); elsewhere, as in degrees and in Web Mercator,
    coordinates on the ellipsoid from the middle of the Earth, whose straight distances are the
    true ones up to some 100 km. NaN where a place has no image there.

    Raises
    ------
    InputError
        When the system has no place on the Earth.
    """
    crs = parse_crs(grid.crs)
    if not (crs.is_geographic or crs.is_projected):
        raise _no_place(grid)
    if crs.is_projected:
        factor = float(crs.linear_units_factor[1])
        if _distortion(grid, factor) <= MOST_DISTORTION:
            return np.column_stack([x, y]) * factor
    return on_ellipsoid(*transform_points(grid.crs, _LON_LAT, x.tolist(), y.tolist()))


def _distortion(grid: Grid, factor: float) -> float:
    """Return by how much the sides of the cell in the middle are wrong on the map, relative."""
    col, row = grid.width // 2, grid.height // 2
    corners = [(col, row), (col + 1, row), (col, row + 1)]
    x, y = np.array([place(grid.transform, *corner) for corner in corners]).T
    flat = np.column_stack([x, y]) * factor
    true = on_ellipsoid(*transform_points(grid.crs, _LON_LAT, x, y))
    if not np.isfinite(true).all():
        raise _no_place(grid)
    ratios = [
        np.linalg.norm(flat[other] - flat[0]) / np.linalg.norm(true[other] - true[0])
        for other in (1, 2)
    ]
    return float(max(abs(ratio - 1.0) for ratio in ratios))


def _no_place(grid: Grid) -> InputError:
    return InputError(
        f"Distances cannot be measured in {crs_name(grid.crs)}: it has no place on the Earth.",
        "Assign the layers the coordinate system they are in.",
    )
