"""Values of a raster at points."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import numpy as np

from ..errors import RasterError
from ..progress import Progress
from .grids import Grid, Window, place, transform_points
from .reading import RasterReader
from .tiles import TILE

METHODS = ("nearest", "bilinear")


def sample_points(
    path: str | Path,
    band: int,
    x: Sequence[float],
    y: Sequence[float],
    crs: str,
    method: str = "nearest",
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return the values of a band at points, reading only the blocks that hold points.

    Parameters
    ----------
    path : str or Path
        A local raster.
    band : int
        Counted from 1.
    x, y : sequences of float
        Coordinates; NaN gives NaN.
    crs : str
        Their coordinate reference system.
    method : {"nearest", "bilinear"}
        The cell that holds the point, or the four centres around it. A point whose nearest cell
        is missing is missing; other missing neighbours lose their weight.

    Returns
    -------
    float64 array
        NaN where missing or outside the raster.
    """
    return sample_bands(path, [band], x, y, crs, [method], progress=progress)[0][0]


def sample_bands(
    path: str | Path,
    bands: Sequence[int],
    x: Sequence[float],
    y: Sequence[float],
    crs: str,
    methods: Sequence[str],
    *,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read several bands at points; see :func:`sample_points`.

    Returns
    -------
    values : float64 array, shape (bands, points)
        One method for each band.
    inside : bool array, shape (points,)
        Which points lie in the raster.
    """
    points = Points(x, y, crs)
    return sample_at(path, bands, points, np.arange(len(points)), methods, progress=progress)


class Points:
    """Points that are sampled in many rasters: carried to each reference system once.

    Parameters
    ----------
    x, y : sequences of float
    crs : str
        Their coordinate reference system.
    """

    def __init__(self, x: Sequence[float], y: Sequence[float], crs: str) -> None:
        self._x = np.asarray(x, dtype=np.float64).ravel()
        self._y = np.asarray(y, dtype=np.float64).ravel()
        self._crs = crs
        self._carried: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._x)

    def in_crs(self, crs: str) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y in a reference system, NaN where a point has no image."""
        if crs not in self._carried:
            self._carried[crs] = transform_points(
                self._crs,
                crs,
                self._x,  # type: ignore[arg-type]
                self._y,  # type: ignore[arg-type]
            )
        return self._carried[crs]


def sample_at(
    path: str | Path,
    bands: Sequence[int],
    points: Points,
    chosen: np.ndarray,
    methods: Sequence[str],
    *,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read several bands at some of many points; see :func:`sample_bands`.

    Parameters
    ----------
    chosen : int array, shape (k,)
        Which points.
    """
    for method in methods:
        if method not in METHODS:
            raise RasterError(
                f"Points cannot be read with the method '{method}'.",
                f"Use one of {', '.join(METHODS)}.",
            )
    with RasterReader(path, progress=progress, count_all=False) as reader:
        grid = reader.grid
        x, y = points.in_crs(grid.crs)
        cols, rows = _cells_at(grid, x[chosen], y[chosen])
        inside = (cols >= 0) & (cols < grid.width) & (rows >= 0) & (rows < grid.height)
        values = np.full((len(bands), cols.size), np.nan)
        for members in _by_tile(cols, rows, inside):
            window = _around(cols[members], rows[members], grid)
            block = reader.read(bands, window)
            local_cols, local_rows = cols[members] - window.col, rows[members] - window.row
            for position, method in enumerate(methods):
                values[position, members] = _interpolate(
                    block[position], local_cols, local_rows, method
                )
    return values, inside


def fractional_cells(
    grid: Grid, crs: str, x: Sequence[float], y: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return points as columns and rows of a grid; cell i reaches from i to i + 1."""
    return _cells_at(grid, *transform_points(crs, grid.crs, x, y))


def _cells_at(grid: Grid, xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inverse = ~grid.transform
    # Apart, so that the large numbers of a projected system cancel before they are scaled.
    corner_x, corner_y = place(grid.transform, 0, 0)
    dx, dy = xs - corner_x, ys - corner_y
    return inverse.a * dx + inverse.b * dy, inverse.d * dx + inverse.e * dy


def _by_tile(cols: np.ndarray, rows: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """Group the points inside by the tile that holds them."""
    members = np.flatnonzero(inside)
    if not members.size:
        return []
    tiles = np.column_stack([rows[members] // TILE, cols[members] // TILE]).astype(np.int64)
    order = np.lexsort((tiles[:, 1], tiles[:, 0]))
    changes = np.flatnonzero(np.any(np.diff(tiles[order], axis=0) != 0, axis=1)) + 1
    return np.split(members[order], changes)


def _around(cols: np.ndarray, rows: np.ndarray, grid: Grid) -> Window:
    """Return the cells that hold points and their neighbours, inside the grid."""
    first_col, first_row = int(cols.min()), int(rows.min())
    last_col, last_row = int(cols.max()), int(rows.max())
    window = Window(first_col, first_row, last_col - first_col + 1, last_row - first_row + 1)
    return window.padded(1).overlap(grid.whole) or window


def _interpolate(block: np.ndarray, cols: np.ndarray, rows: np.ndarray, method: str) -> np.ndarray:
    nearest = block[rows.astype(np.int64), cols.astype(np.int64)]
    if method == "nearest":
        return np.asarray(nearest)
    first_col, first_row = np.floor(cols - 0.5), np.floor(rows - 0.5)
    right, down = cols - 0.5 - first_col, rows - 0.5 - first_row
    total = np.zeros(cols.shape)
    weights = np.zeros(cols.shape)
    for add_row, row_weight in ((0, 1 - down), (1, down)):
        for add_col, col_weight in ((0, 1 - right), (1, right)):
            row = (first_row + add_row).astype(np.int64)
            col = (first_col + add_col).astype(np.int64)
            there = (row >= 0) & (row < block.shape[0]) & (col >= 0) & (col < block.shape[1])
            value = np.full(cols.shape, np.nan)
            value[there] = block[row[there], col[there]]
            weight = np.where(np.isfinite(value), row_weight * col_weight, 0.0)
            total += weight * np.where(weight > 0, value, 0.0)
            weights += weight
    mixed = np.divide(total, weights, out=np.full(cols.shape, np.nan), where=weights > 0)
    return np.where(np.isfinite(nearest), mixed, np.nan)
