"""Which cells a raster has, and where they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Sequence, Tuple

import numpy as np
import rasterio.warp
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError

from ..errors import InputError

Extent = Tuple[float, float, float, float]

WHOLE = 1e-6  # of a cell: nearer to a whole number of cells than this counts as whole
MOST_CELLS = 2**31 - 1  # a side; what GDAL can address
GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)


@dataclass(frozen=True)
class Window:
    """A block of cells: first column and row, width and height in cells."""

    col: int
    row: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns as slices of a two-dimensional array."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.col, self.col + self.width),
        )

    def overlap(self, other: Window) -> Window | None:
        """Return the cells that both windows hold, or None."""
        col, row = max(self.col, other.col), max(self.row, other.row)
        width = min(self.col + self.width, other.col + other.width) - col
        height = min(self.row + self.height, other.row + other.height) - row
        return Window(col, row, width, height) if width > 0 and height > 0 else None

    def shifted(self, cols: int, rows: int) -> Window:
        """Return the window moved by whole cells."""
        return Window(self.col + cols, self.row + rows, self.width, self.height)

    def padded(self, cells: int) -> Window:
        """Return the window grown by `cells` on all four sides."""
        return Window(
            self.col - cells, self.row - cells, self.width + 2 * cells, self.height + 2 * cells
        )


@dataclass(frozen=True)
class Grid:
    """The cells of a raster.

    Parameters
    ----------
    crs : str
        Coordinate reference system as WKT, or anything PROJ understands (``EPSG:32632``).
    transform : Affine
        Cell (column, row) to map coordinates.
    width, height : int
        Number of columns and rows, at least 1.

    Raises
    ------
    InputError
        Where the grid would hold no cell.
    """

    crs: str
    transform: Affine
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not self.transform.determinant:
            raise InputError(
                f"A grid of {self.width} × {self.height} cells holds nothing.",
                "Give an extent and a cell size that make at least one cell.",
            )

    @classmethod
    def from_extent(cls, extent: Extent, resolution: float, crs: str) -> Grid:
        """Lay square cells over an extent.

        The left and the top edge are kept; columns and rows are rounded up, but to the nearest
        whole number within 1e-6 of it.

        Parameters
        ----------
        extent : (xmin, ymin, xmax, ymax)
            In units of `crs`.
        resolution : float
            Edge of a cell in units of `crs`, above 0.
        crs : str
            Coordinate reference system.
        """
        xmin, ymin, xmax, ymax = (float(edge) for edge in extent)
        if not math.isfinite(resolution) or resolution <= 0:
            raise InputError(
                f"The resolution {resolution:g} is not a cell size.", "Give a number above 0."
            )
        text = f"{xmin:g}, {ymin:g}, {xmax:g}, {ymax:g} (xmin, ymin, xmax, ymax)"
        if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))) or xmax <= xmin or ymax <= ymin:
            raise InputError(
                f"The extent {text} with resolution {resolution:g} makes a grid of zero size.",
                "Give an extent whose right and top edges lie beyond its left and bottom edges.",
            )
        width = _whole_up((xmax - xmin) / resolution)
        height = _whole_up((ymax - ymin) / resolution)
        if width < 1 or height < 1 or width > MOST_CELLS or height > MOST_CELLS:
            raise InputError(
                f"The extent {text} with resolution {resolution:g} makes a grid of "
                f"{width} × {height} cells.",
                "Check the resolution: it is in units of the coordinate reference system.",
            )
        return cls(crs, Affine(resolution, 0.0, xmin, 0.0, -resolution, ymax), width, height)

    @property
    def bounds(self) -> Extent:
        """The outer edges: xmin, ymin, xmax, ymax."""
        corners = [
            place(self.transform, *corner)
            for corner in ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))
        ]
        xs, ys = zip(*corners)
        return (min(xs), min(ys), max(xs), max(ys))

    @property
    def resolution(self) -> tuple[float, float]:
        """Edges of a cell in units of the coordinate reference system, both positive."""
        t = self.transform
        return (math.hypot(t.a, t.d), math.hypot(t.b, t.e))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (self.height, self.width)

    @property
    def whole(self) -> Window:
        """The window that holds every cell."""
        return Window(0, 0, self.width, self.height)

    @property
    def is_rotated(self) -> bool:
        """Whether rows do not run along the x axis."""
        return bool(abs(self.transform.b) > 1e-12 or abs(self.transform.d) > 1e-12)

    @property
    def is_geographic(self) -> bool:
        """Whether coordinates are in degrees."""
        return bool(parse_crs(self.crs).is_geographic)

    def cut(self, extent: Extent) -> Grid:
        """Return the cells that an extent in this grid's coordinate reference system touches.

        A cell that the extent meets only in its edge is not touched.
        """
        window = self.window_of(extent)
        if window is None:
            edges = ", ".join(f"{edge:g}" for edge in extent)
            own = ", ".join(f"{edge:g}" for edge in self.bounds)
            raise InputError(
                f"The extent {edges} touches no cell of the grid, whose edges are {own} "
                "(xmin, ymin, xmax, ymax).",
                "Give an extent inside the grid, in the grid's coordinate reference system.",
            )
        return self.part(window)

    def window_of(self, extent: Extent) -> Window | None:
        """Return the window of the cells that an extent touches, or None."""
        xmin, ymin, xmax, ymax = (float(edge) for edge in extent)
        if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))) or xmax <= xmin or ymax <= ymin:
            return None
        inverse = ~self.transform
        corners = [place(inverse, x, y) for x in (xmin, xmax) for y in (ymin, ymax)]
        cols, rows = zip(*corners)
        first_col, last_col = _touched(min(cols), max(cols))
        first_row, last_row = _touched(min(rows), max(rows))
        touched = Window(first_col, first_row, last_col - first_col, last_row - first_row)
        return self.whole.overlap(touched)

    def part(self, window: Window) -> Grid:
        """Return the grid of a window, which may reach beyond this grid."""
        t = self.transform
        x, y = place(t, window.col, window.row)
        return Grid(self.crs, Affine(t.a, t.b, x, t.d, t.e, y), window.width, window.height)

    def windows(self, block: int = 256) -> list[Window]:
        """Cut the grid into square blocks, row by row; those at the edges may be smaller."""
        if block < 1:
            raise InputError(f"A block of {block} cells is too small.", "Give 1 or more.")
        return [
            Window(col, row, min(block, self.width - col), min(block, self.height - row))
            for row in range(0, self.height, block)
            for col in range(0, self.width, block)
        ]

    def centres(self, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of the cell centres, float64 arrays of the window's shape."""
        window = window or self.whole
        cols, rows = np.meshgrid(
            np.arange(window.col, window.col + window.width) + 0.5,
            np.arange(window.row, window.row + window.height) + 0.5,
        )
        t = self.transform
        return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f

    def matches(self, other: Grid) -> bool:
        """Whether both grids hold the same cells (to 1e-6 of a cell)."""
        return self.shape == other.shape and self.offset_in(other) == (0, 0)

    def offset_in(self, other: Grid) -> tuple[int, int] | None:
        """Return column and row of this grid's first cell in `other` where their cells agree.

        The grids may cover different areas. None where the coordinate reference systems or the
        cells differ by more than 1e-6 of a cell anywhere in this grid.
        """
        if not same_crs(self.crs, other.crs):
            return None
        inverse = ~other.transform
        col, row = place(inverse, *place(self.transform, 0, 0))
        if not (math.isfinite(col) and math.isfinite(row)):
            return None
        first = (round(col), round(row))
        for corner in ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height)):
            col, row = place(inverse, *place(self.transform, *corner))
            off = max(abs(col - first[0] - corner[0]), abs(row - first[1] - corner[1]))
            if off > WHOLE:
                return None
        return first

    def describe(self) -> str:
        """Say size, resolution, edges and coordinate reference system in one line."""
        xres, yres = self.resolution
        cell = f"{xres:g}" if math.isclose(xres, yres) else f"{xres:g} × {yres:g}"
        edges = ", ".join(f"{edge:.10g}" for edge in self.bounds)
        return f"{self.width} × {self.height} cells of {cell}, edges {edges}, {crs_name(self.crs)}"


def place(transform: Affine, col: float, row: float) -> tuple[float, float]:
    """Return the coordinates of a cell's corner, or the cell of coordinates by an inverse."""
    t = transform
    return t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f


@lru_cache(maxsize=256)
def parse_crs(text: str) -> CRS:
    """Return the coordinate reference system that a text names.

    Raises
    ------
    InputError
        Where the text is empty or names none.
    """
    try:
        crs = CRS.from_user_input(text) if text else None
    except (CRSError, ValueError, TypeError) as error:
        raise InputError(
            f"'{str(text)[:80]}' is not a coordinate reference system ({error}).",
            "Give one like EPSG:32632.",
        ) from error
    if not crs:
        raise InputError(
            "A coordinate reference system is missing.",
            "Assign one to the layer (Layer Properties, Source).",
        )
    return crs


def crs_text(crs: Any) -> str:
    """Return a coordinate reference system as WKT 2 where PROJ can write it, else as WKT."""
    parsed = crs if isinstance(crs, CRS) else parse_crs(str(crs))
    try:
        return str(parsed.to_wkt(version="WKT2_2019"))
    except (CRSError, TypeError):
        return str(parsed.to_wkt())


def crs_name(text: str) -> str:
    """Return a short name: the authority's code where there is one, else the name in the WKT."""
    crs = parse_crs(text)
    authority = crs.to_authority()
    if authority:
        return ":".join(authority)
    quoted = crs.to_wkt().split('"')
    return quoted[1] if len(quoted) > 1 else "unnamed coordinate reference system"


@lru_cache(maxsize=1024)
def same_crs(first: str, second: str) -> bool:
    """Whether two texts name the same coordinate reference system."""
    return first == second or bool(parse_crs(first) == parse_crs(second))


def transform_points(
    source_crs: str, target_crs: str, x: Sequence[float], y: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Carry points from one coordinate reference system to another.

    Returns
    -------
    x, y : float64 arrays
        NaN where a coordinate is missing or has no image.
    """
    xs = np.asarray(x, dtype=np.float64).ravel()
    ys = np.asarray(y, dtype=np.float64).ravel()
    if same_crs(source_crs, target_crs):
        return xs.copy(), ys.copy()
    source, target = parse_crs(source_crs), parse_crs(target_crs)
    known = np.isfinite(xs) & np.isfinite(ys)
    new_x, new_y = np.full(xs.shape, np.nan), np.full(ys.shape, np.nan)
    if known.any():
        new_x[known], new_y[known] = _carry(source, target, xs[known], ys[known])
    lost = ~(np.isfinite(new_x) & np.isfinite(new_y))
    new_x[lost] = np.nan
    new_y[lost] = np.nan
    return new_x, new_y


def _carry(source: CRS, target: CRS, x: np.ndarray, y: np.ndarray) -> Any:
    """Transform points; where PROJ refuses the lot, one by one so that the rest survives."""
    try:
        return rasterio.warp.transform(source, target, x, y)
    except GDAL_ERRORS:
        if x.size == 1:
            return [np.nan], [np.nan]
        half = x.size // 2
        first = _carry(source, target, x[:half], y[:half])
        second = _carry(source, target, x[half:], y[half:])
        return [list(first[axis]) + list(second[axis]) for axis in (0, 1)]


def transform_extent(source_crs: str, target_crs: str, extent: Extent) -> Extent:
    """Return the edges of an extent in another coordinate reference system.

    The sides are followed, not only the corners.
    """
    if same_crs(source_crs, target_crs):
        return extent
    try:
        edges = rasterio.warp.transform_bounds(
            parse_crs(source_crs), parse_crs(target_crs), *extent, densify_pts=21
        )
    except GDAL_ERRORS as error:
        raise InputError(
            f"The extent {', '.join(f'{edge:g}' for edge in extent)} has no place in "
            f"{crs_name(target_crs)} ({error}).",
            "Check its coordinate reference system.",
        ) from error
    xmin, ymin, xmax, ymax = (float(edge) for edge in edges)
    return (xmin, ymin, xmax, ymax)


def _whole_up(count: float) -> int:
    """Round up, but to the nearest whole number within 1e-6 of it."""
    nearest = round(count)
    return nearest if abs(count - nearest) <= WHOLE else math.ceil(count)


def _touched(first: float, last: float) -> tuple[int, int]:
    """Return the first and one past the last cell that an interval of cells touches."""
    start, stop = math.floor(first + WHOLE), math.ceil(last - WHOLE)
    return start, max(stop, start + 1)
