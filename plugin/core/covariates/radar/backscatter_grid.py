"""The one grid of a series of images that lie on several."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...errors import InputError
from ...rasters.grids import WHOLE, Extent, Grid, Window, crs_name, transform_extent
from .backscatter_cells import axes
from .backscatter_images import ImageBand

_LARGEST_DEGREES = 1.0
_METRES_IN_DEGREE = 111_320.0
_WIDE, _HIGH = 8192, 3000  # source cells of a block: GDAL's cache holds the tiles of a row
_MOST_CELLS = 2**19  # target cells of a block
_MOST_WIDE = 1024


def common_grid(bands: Sequence[ImageBand], resolution: float) -> Grid:
    """Return square cells over all images together.

    Edges are whole multiples of the resolution, so that every run with it makes cells that
    agree; but where the images lie on one grid of just this resolution, its cells are kept.

    Raises
    ------
    InputError
        For a resolution finer than an image, or one in metres for images in degrees.
    """
    grids = list(dict.fromkeys(band.grid for band in bands))
    _check_resolution(bands, resolution)
    kept = _own_cells(grids, resolution)
    if kept is not None:
        return kept
    xmin = math.floor(min(grid.bounds[0] for grid in grids) / resolution + WHOLE)
    ymin = math.floor(min(grid.bounds[1] for grid in grids) / resolution + WHOLE)
    xmax = math.ceil(max(grid.bounds[2] for grid in grids) / resolution - WHOLE)
    ymax = math.ceil(max(grid.bounds[3] for grid in grids) / resolution - WHOLE)
    extent = (xmin * resolution, ymin * resolution, xmax * resolution, ymax * resolution)
    return Grid.from_extent(extent, resolution, grids[0].crs)


def cut_grid(grid: Grid, extent: Extent, crs: str) -> Grid:
    """Return the cells of a grid that an extent in another system (or its own) touches."""
    return grid.cut(transform_extent(crs, grid.crs, extent) if crs else extent)


def block_windows(grid: Grid, bands: Sequence[ImageBand], parts: int = 1) -> list[Window]:
    """Cut a grid into blocks that are read at a good pace.

    A block takes some thousands of source cells along a side, and whole rows where the images
    are stored so.

    Parameters
    ----------
    parts : int
        The number of rows of blocks is a multiple of this.
    """
    ratio = min(min(axis[0] for axis in axes(band.grid, grid)) for band in bands)
    if any(band.striped for band in bands):
        width = grid.width
    else:
        width = min(_even_part(grid.width, _WIDE / ratio), _MOST_WIDE)
    height = min(_even_part(grid.height, _HIGH / ratio, parts), max(1, _MOST_CELLS // width))
    return [
        Window(col, row, min(width, grid.width - col), min(height, grid.height - row))
        for row in range(0, grid.height, height)
        for col in range(0, grid.width, width)
    ]


def _even_part(total: int, most: float, multiple: int = 1) -> int:
    """Return the size of parts of about equal size, none larger than `most` (but 1)."""
    count = math.ceil(total / most / multiple) * multiple
    return max(1, math.ceil(total / count))


def _check_resolution(bands: Sequence[ImageBand], resolution: float) -> None:
    if not (math.isfinite(resolution) and resolution > 0):
        raise InputError(f"RESOLUTION {resolution:g} is no cell size.", "Give a number above 0.")
    first = bands[0].grid
    if first.is_geographic and resolution > _LARGEST_DEGREES:
        raise InputError(
            f"RESOLUTION {resolution:g} is in degrees, as the images are ({crs_name(first.crs)}).",
            f"Give degrees ({resolution:g} m are about {resolution / _METRES_IN_DEGREE:.2g}), or "
            "bring the images to a system in metres, such as the area's UTM zone, with 'Warp "
            "(reproject)'.",
        )
    for band in bands:
        coarsest = max(band.grid.resolution)
        if coarsest > resolution * (1 + WHOLE):
            raise InputError(
                f"RESOLUTION {resolution:g} is finer than the cells of the image '{band.file}' "
                f"({coarsest:g}).",
                f"Give {coarsest:g} or more.",
            )


def _own_cells(grids: Sequence[Grid], resolution: float) -> Grid | None:
    """Return the cells of the images where all have the same and of this resolution."""
    first = grids[0]
    largest = max(max(grid.shape) for grid in grids)
    if any(abs(edge / resolution - 1) * largest > WHOLE for edge in first.resolution):
        return None
    windows = []
    for grid in grids:
        offset = grid.offset_in(first)
        if offset is None:
            return None
        windows.append(Window(*offset, grid.width, grid.height))
    col = min(window.col for window in windows)
    row = min(window.row for window in windows)
    right = max(window.col + window.width for window in windows)
    below = max(window.row + window.height for window in windows)
    return first.part(Window(col, row, right - col, below - row))
