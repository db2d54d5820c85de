"""The global EASE-Grid 2.0: its cells by definition, not by what a file says of them.

A cylindrical equal-area projection on WGS 84, true at 30° (EPSG:6933). A grid lies symmetrically
about its map origin, 0° N 0° E, so that cell size, columns and rows define it: the outer edge of
its first cell is at (−columns/2, +rows/2) cells. The polar grids (EPSG:6931, 6932) are not here.

References
----------
Brodzik et al. (2012), ISPRS Int. J. Geo-Inf. 1(1), doi:10.3390/ijgi1010032; corrected in
Brodzik et al. (2014), ISPRS Int. J. Geo-Inf. 3(3), doi:10.3390/ijgi3031154.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Sequence

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from ..errors import InputError, RasterError
from .grids import Extent, Grid, Window, crs_text, same_crs, transform_extent, transform_points

EASE_CRS = "EPSG:6933"
WORLD_WIDTH = 34735060.890322745
"""Metres around the Earth in x: 360 degrees of longitude."""
_MOST_SHIFT = 0.1  # of a cell that a georeference may be off to be snapped


@dataclass(frozen=True)
class EaseGrid:
    """A global EASE-Grid 2.0.

    Parameters
    ----------
    name : str
        What users call it, such as ``36km``.
    cell : float
        Edge of a cell in metres.
    columns, rows : int
        Cells from 180° W to 180° E and from 85.04° N to 85.04° S (84.44° for 25 km).

    Examples
    --------
    >>> EASE_GRIDS["36km"].cell_of([-179.9], [85.0])
    (array([0]), array([0]))
    """

    name: str
    cell: float
    columns: int
    rows: int

    @property
    def west(self) -> float:
        """x of the left edge."""
        return -self.columns / 2 * self.cell

    @property
    def north(self) -> float:
        """y of the top edge."""
        return self.rows / 2 * self.cell

    @property
    def grid(self) -> Grid:
        """All its cells."""
        transform = Affine(self.cell, 0.0, self.west, 0.0, -self.cell, self.north)
        return Grid(_crs(), transform, self.columns, self.rows)

    def cell_of(
        self, longitude: Sequence[float], latitude: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return row and column, from 0, of points in degrees; −1 for points outside."""
        x, y = transform_points("EPSG:4326", EASE_CRS, longitude, latitude)
        columns = np.floor((x - self.west) / self.cell)
        rows = np.floor((self.north - y) / self.cell)
        inside = (columns >= 0) & (columns < self.columns) & (rows >= 0) & (rows < self.rows)
        return (
            np.where(inside, rows, -1).astype(np.int64),
            np.where(inside, columns, -1).astype(np.int64),
        )

    def touched(self, extent: Extent, crs: str) -> Window:
        """Return the cells that an extent touches.

        Raises
        ------
        InputError
            For an extent that touches none.
        """
        window = self.grid.window_of(transform_extent(crs, EASE_CRS, extent))
        if window is None:
            edges = ", ".join(f"{edge:g}" for edge in extent)
            raise InputError(
                f"The extent {edges} (xmin, ymin, xmax, ymax) touches no cell of the "
                f"{self.name} EASE-Grid 2.0.",
                "Check the extent and its coordinate reference system.",
            )
        return window

    def fit(self, width: int, height: int, transform: Affine, crs: str | None) -> Window:
        """Say which cells those of a raster are whose georeference is lost or rounded.

        A raster of the grid's full size is the whole grid, whatever it declares. Another one
        must declare this projection, or none, and edges that lie within a tenth of a cell of
        edges of the grid's cells.

        Raises
        ------
        RasterError
            Says by how much of a cell it does not fit.
        """
        if (width, height) == (self.columns, self.rows):
            return Window(0, 0, width, height)
        if crs is not None and not is_ease(crs):
            raise RasterError(
                f"Its {width} × {height} cells are in another projection and not the "
                f"{self.columns} × {self.rows} of the whole {self.name} grid.",
                "Use MODE aggregate to bring it onto the grid.",
            )
        if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
            raise RasterError(
                "Its rows do not run from west to east and north to south.",
                "Write it north-up first (Warp).",
            )
        first_col = (transform.c - self.west) / self.cell
        first_row = (self.north - transform.f) / self.cell
        col, row = round(first_col), round(first_row)
        ends = (width * transform.a / self.cell, height * -transform.e / self.cell)
        shift = max(abs(first_col - col), abs(first_row - row))
        last = max(abs(first_col + ends[0] - col - width), abs(first_row + ends[1] - row - height))
        window = Window(col, row, width, height)
        if max(shift, last) > _MOST_SHIFT or window != self.grid.whole.overlap(window):
            raise RasterError(
                f"Its {width} × {height} cells of {transform.a:.10g} × {-transform.e:.10g} m from "
                f"x {transform.c:.10g}, y {transform.f:.10g} are not cells of the {self.name} grid "
                f"({self.cell:.10g} m): the first corner lies {shift:.2g} of a cell off, the last "
                f"{last:.2g}; {_MOST_SHIFT:g} is allowed.",
                "Choose its CELL, or MODE aggregate.",
            )
        return window


EASE_GRIDS = {
    grid.name: grid
    for grid in (
        EaseGrid("36km", 36032.220840584, 964, 406),
        EaseGrid("25km", 25025.2600081, 1388, 584),
        EaseGrid("9km", 9008.055210146, 3856, 1624),
        EaseGrid("3km", 3002.6850700487, 11568, 4872),
        EaseGrid("2.25km", 2252.0138025365, 15424, 6496),  # 4 × 4 in a cell of 9 km
    )
}


def ease_grid(name: str) -> EaseGrid:
    """Return the grid of a name."""
    if name not in EASE_GRIDS:
        raise InputError(
            f"'{name}' is no EASE-Grid 2.0 cell size.", f"Choose from {', '.join(EASE_GRIDS)}."
        )
    return EASE_GRIDS[name]


def ease_grid_of_shape(height: int, width: int) -> EaseGrid | None:
    """Return the grid with so many rows and columns, or None."""
    for grid in EASE_GRIDS.values():
        if (grid.rows, grid.columns) == (height, width):
            return grid
    return None


def is_ease(crs: str) -> bool:
    """Whether a coordinate reference system is EASE-Grid 2.0's, by its code or its parameters."""
    if same_crs(crs, EASE_CRS):
        return True
    try:
        known: dict[str, Any] = CRS.from_user_input(crs).to_dict()
    except CRSError:
        return False
    on_wgs84 = "WGS84" in (known.get("datum"), known.get("ellps"))  # version 1 is on a sphere
    values = tuple(known.get(name, 0) for name in ("lat_ts", "lon_0", "x_0", "y_0"))
    return known.get("proj") == "cea" and on_wgs84 and values == (30, 0, 0, 0)


@lru_cache(maxsize=1)
def _crs() -> str:
    return crs_text(EASE_CRS)
