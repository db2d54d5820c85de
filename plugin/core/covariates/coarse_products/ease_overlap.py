"""How much of each EASE-Grid 2.0 cell the cells of a raster cover, exactly.

A raster's cell becomes a quadrilateral in the equal-area projection. Its share of a grid cell is
the area of their intersection by Green's theorem, so that the shares of one raster cell sum to
its area, whatever the two grids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...rasters.easegrid import EASE_CRS, WORLD_WIDTH, EaseGrid
from ...rasters.grids import Grid, Window, parse_crs, place, transform_points
from ...rasters.tiles import TILE

_TOUCH = 1e-9  # of a grid cell: overlaps thinner than this are rounding
_EARTH = 6371000.0
_METRES_A_DEGREE = 111_000.0
_PRECISION = 1e-3  # of a raster cell: what interpolated corners may be off
_WIDEST = 90.0  # degrees a tile may span, so that the shorter way round the Earth is the right one
_NEAR = 1e-6  # of a grid cell: an edge this near to a grid line is on it


@dataclass(frozen=True)
class Overlaps:
    """Intersections of raster cells and grid cells, as arrays of equal length.

    Parameters
    ----------
    cell : int array
        The raster cell, counted row by row within its tile.
    row, column : int arrays
        The grid cell.
    area : float64 array
        Area of the intersection, in grid cells.
    """

    cell: np.ndarray
    row: np.ndarray
    column: np.ndarray
    area: np.ndarray


class CellOverlaps:
    """The intersections of a raster's cells with those of an EASE-Grid 2.0, tile by tile.

    Corners are projected exactly where cells are coarse; where they are fine, every so many, with
    the ones between interpolated to 1/1000 of a cell. The tiles do not depend on what is asked.

    Parameters
    ----------
    source : Grid
        The raster's cells.
    ease : EaseGrid
        The grid.

    Attributes
    ----------
    cell_size : float
        Height of the raster's cells, about, in metres.
    """

    def __init__(self, source: Grid, ease: EaseGrid) -> None:
        self.source = source
        self.ease = ease
        width, height = source.resolution
        metres = _METRES_A_DEGREE
        if not source.is_geographic:
            metres = float(parse_crs(source.crs).linear_units_factor[1])
        self._width = TILE
        if source.is_geographic:
            self._width = min(TILE, max(1, int(_WIDEST / width)))
        self.cell_size = height * metres
        self._step = _step(max(width, height) * metres)

    def tiles(self) -> list[Window]:
        """Return the tiles of the raster, row by row."""
        grid = self.source
        return [
            Window(col, row, min(self._width, grid.width - col), min(TILE, grid.height - row))
            for row in range(0, grid.height, TILE)
            for col in range(0, grid.width, self._width)
        ]

    def touched(self, tile: Window) -> Window | None:
        """Return the window of grid cells that holds all those a tile touches.

        Its columns may lie beyond the grid, where the tile crosses 180° of longitude. None for a
        tile without a place in the projection.
        """
        columns, rows = _nodes(tile.width, self._step), _nodes(tile.height, self._step)
        sides = [
            self._project(tile, *lines)
            for lines in ((columns, rows[[0, -1]]), (columns[[0, -1]], rows))
        ]
        u, v = (np.concatenate([side[axis].ravel() for side in sides]) for axis in (0, 1))
        known = np.isfinite(u) & np.isfinite(v)
        if not known.any():
            return None
        if not known.all():  # what lies between is unknown too
            return Window(-self.ease.columns, 0, 3 * self.ease.columns, self.ease.rows)
        left, top = (math.floor(values.min() + _NEAR) for values in (u, v))
        right, bottom = (math.ceil(values.max() - _NEAR) for values in (u, v))
        return Window(left, top, max(right - left, 1), max(bottom - top, 1))

    def window(self, touched: Iterable[Window]) -> Window | None:
        """Return the window of the grid that holds what tiles touch; None where that is nothing.

        Columns beyond the grid are those at its other side, so that it has all columns then.
        """
        boxes = list(touched)
        left = min((box.col for box in boxes), default=0)
        right = max((box.col + box.width for box in boxes), default=0)
        if left < 0 or right > self.ease.columns:
            left, right = 0, self.ease.columns
        top = max(min((box.row for box in boxes), default=0), 0)
        bottom = min(max((box.row + box.height for box in boxes), default=0), self.ease.rows)
        if right <= left or bottom <= top:
            return None
        return Window(left, top, right - left, bottom - top)

    def of_tile(self, tile: Window, wanted: Window) -> Overlaps:
        """Return the intersections of a tile's cells with the grid cells of a window.

        The columns of the window may lie beyond the grid, one turn of the Earth on.
        """
        u, v = self._corners(tile)
        quads = _Quads(u, v)
        singles = quads.within_one(wanted)
        parts = [_overlap_of_singles(quads, singles)]
        crossing = quads.crossing(wanted)
        if crossing.size:
            parts += _overlap_of_crossing(quads, crossing, wanted)
        return Overlaps(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("cell", "row", "column", "area")
            )
        )

    def _corners(self, tile: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return columns and rows in the grid of the corners of a tile's cells."""
        if self._step > 1:
            columns, rows = _nodes(tile.width, self._step), _nodes(tile.height, self._step)
            u, v = self._project(tile, columns, rows)
            if np.isfinite(u).all() and np.isfinite(v).all():
                down, across = _between(rows), _between(columns)
                return down @ u @ across.T, down @ v @ across.T
        return self._project(tile, np.arange(tile.width + 1.0), np.arange(tile.height + 1.0))

    def _project(
        self, tile: Window, columns: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return columns and rows in the grid of corners that are counted within a tile."""
        transform = self.source.transform
        across, down = np.meshgrid(columns + tile.col, rows + tile.row)
        x = transform.a * across + transform.b * down + transform.c
        y = transform.d * across + transform.e * down + transform.f
        # One point more: the tile's middle, from which the others are at most half a turn away.
        middle = place(transform, tile.col + tile.width / 2, tile.row + tile.height / 2)
        east, north = transform_points(
            self.source.crs,
            EASE_CRS,
            np.append(x.ravel(), middle[0]).tolist(),
            np.append(y.ravel(), middle[1]).tolist(),
        )
        if math.isfinite(east[-1]):
            turns = np.round((east[-1] - east[:-1]) / WORLD_WIDTH)
            east[:-1] += turns * WORLD_WIDTH
        u = (east[:-1] - self.ease.west) / self.ease.cell
        v = (self.ease.north - north[:-1]) / self.ease.cell
        return u.reshape(x.shape), v.reshape(x.shape)


class _Quads:
    """Quadrilaterals by their corners, in units of grid cells, and the cells they touch."""

    def __init__(self, u: np.ndarray, v: np.ndarray) -> None:
        self.u = _corner_columns(u)
        self.v = _corner_columns(v)
        known = np.isfinite(self.u).all(axis=0) & np.isfinite(self.v).all(axis=0)
        self._known = known
        with np.errstate(invalid="ignore"):
            self.left = _floor(self.u.min(axis=0) + _TOUCH, known)
            self.right = _floor(self.u.max(axis=0) - _TOUCH, known)
            self.top = _floor(self.v.min(axis=0) + _TOUCH, known)
            self.bottom = _floor(self.v.max(axis=0) - _TOUCH, known)

    def area(self, chosen: np.ndarray) -> np.ndarray:
        """Area with its sign: half the cross product of the diagonals."""
        u, v = self.u[:, chosen], self.v[:, chosen]
        return 0.5 * ((u[2] - u[0]) * (v[3] - v[1]) - (v[2] - v[0]) * (u[3] - u[1]))

    def within_one(self, wanted: Window) -> np.ndarray:
        """Return those inside one grid cell of a window."""
        one = (self.left >= self.right) & (self.top >= self.bottom)
        return np.flatnonzero(one & self._touching(wanted))

    def crossing(self, wanted: Window) -> np.ndarray:
        """Return those in several grid cells, some of them in a window."""
        several = (self.left < self.right) | (self.top < self.bottom)
        return np.flatnonzero(several & self._touching(wanted))

    def _touching(self, wanted: Window) -> np.ndarray:
        return np.asarray(
            self._known
            & (self.right >= wanted.col)
            & (self.left < wanted.col + wanted.width)
            & (self.bottom >= wanted.row)
            & (self.top < wanted.row + wanted.height)
        )


def _overlap_of_singles(quads: _Quads, chosen: np.ndarray) -> Overlaps:
    return Overlaps(chosen, quads.top[chosen], quads.left[chosen], np.abs(quads.area(chosen)))


def _overlap_of_crossing(quads: _Quads, chosen: np.ndarray, wanted: Window) -> list[Overlaps]:
    """Cut quadrilaterals at the edges of grid cells, one offset from their first cell at a time."""
    sign = np.where(quads.area(chosen) < 0, -1.0, 1.0)
    parts = []
    tall = int((quads.bottom[chosen] - quads.top[chosen]).max())
    wide = int((quads.right[chosen] - quads.left[chosen]).max())
    for down in range(tall + 1):
        for across in range(wide + 1):
            row, column = quads.top[chosen] + down, quads.left[chosen] + across
            here = (row <= quads.bottom[chosen]) & (column <= quads.right[chosen])
            here &= (row >= wanted.row) & (row < wanted.row + wanted.height)
            here &= (column >= wanted.col) & (column < wanted.col + wanted.width)
            if not here.any():
                continue
            cell = chosen[here]
            area = sign[here] * area_in_unit_square(
                quads.u[:, cell] - column[here], quads.v[:, cell] - row[here]
            )
            parts.append(Overlaps(cell, row[here], column[here], np.maximum(area, 0.0)))
    return parts


def area_in_unit_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the area that polygons share with the square from (0, 0) to (1, 1).

    By Green's theorem the integral along a polygon's edges of u, held between 0 and 1, over those
    parts of v that lie between 0 and 1.

    Parameters
    ----------
    u, v : float64 arrays, shape (corners, polygons)

    Returns
    -------
    float64 array, shape (polygons,)
        Positive where the corners run from the u axis towards the v axis.
    """
    total = np.zeros(u.shape[1])
    for first in range(len(u)):
        second = (first + 1) % len(u)
        rise = v[second] - v[first]
        run = u[second] - u[first]
        start, stop = np.clip(v[first], 0.0, 1.0), np.clip(v[second], 0.0, 1.0)
        a, b = (u[first] + run * _share(part - v[first], rise) for part in (start, stop))
        total += (stop - start) * _mean_held(a, b)
    return total


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shares = np.divide(part, whole, out=np.zeros_like(whole), where=whole != 0)
    return np.clip(shares, 0.0, 1.0)


def _mean_held(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the mean over the numbers from a to b of each held between 0 and 1."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    held_low, held_high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
    beyond = np.maximum(high - 1.0, 0.0) - np.maximum(low - 1.0, 0.0)
    summed = (held_high - held_low) * (held_low + held_high) / 2 + beyond
    return np.divide(summed, high - low, out=held_low.copy(), where=high > low)


def _corner_columns(values: np.ndarray) -> np.ndarray:
    """Return the four corners of each cell, one row a corner, going round."""
    corners = (values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1])
    return np.stack([corner.ravel() for corner in corners])


def _floor(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.floor(np.where(known, values, 0.0)).astype(np.int64)


def _step(size: float) -> int:
    """Return every how many corners are projected, for cells of so many metres."""
    # A chord over n cells is off by (n size)² / (8 R); a third of it for the stretch in the north.
    return max(1, min(TILE, int(math.sqrt(8 * _PRECISION * _EARTH / size) / 3)))


def _nodes(count: int, step: int) -> np.ndarray:
    return np.append(np.arange(0.0, count, step), float(count))


@lru_cache(maxsize=16)
def _weights(nodes: tuple[float, ...]) -> np.ndarray:
    places = np.array(nodes)
    return np.stack(
        [np.interp(np.arange(places[-1] + 1), places, unit) for unit in np.eye(places.size)],
        axis=1,
    )


def _between(nodes: np.ndarray) -> np.ndarray:
    """Return the matrix that interpolates values at nodes to all corners."""
    return _weights(tuple(nodes))
