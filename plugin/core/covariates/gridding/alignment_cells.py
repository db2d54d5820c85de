"""What a raster's bands are on the cells of another grid, window by window."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Sequence, Tuple

import numpy as np
from scipy import sparse

from ...progress import Progress, RecordingProgress
from ...rasters.grids import WHOLE, Grid, Window, same_crs
from ...rasters.reading import RasterInfo, RasterReader, count_marks, open_raster, warn_of_marks
from ...rasters.sampling import fractional_cells
from ...rasters.warping import CovariateReader, Source, cell_ratio, source_window

CellReader = Tuple[Sequence[int], Callable[[Window], np.ndarray]]
"""Positions of bands, and what returns them in a window: (bands, rows, columns), NaN missing."""

_FEWEST_POINTS, _MOST_POINTS = 4, 64  # a side of a cell, where classes are counted at points


@dataclass(frozen=True)
class Overlaps:
    """How much of source columns (or rows) each target column (or row) covers.

    Parameters
    ----------
    first, count : int
        The source columns covered by any.
    weights : scipy CSR matrix, shape (targets, count)
        Lengths in source cells.
    """

    first: int
    count: int
    weights: Any


def coarsening(source: Grid, target: Grid) -> float:
    """Return how many source cells a target cell is wide or high, whichever is more."""
    return 1.0 / min(cell_ratio(source, target))


def cell_readers(
    info: RasterInfo,
    methods: Sequence[str],
    grid: Grid,
    stack: contextlib.ExitStack,
    progress: Progress,
) -> Iterator[CellReader]:
    """Yield the bands that are resampled together, with what reads them in a window of the grid.

    Between grids with parallel axes, averages and largest shares are exact. Between others,
    averages are GDAL's, over the source cells within the box around a cell, and shares are those
    of points spread evenly over it.

    Parameters
    ----------
    info : RasterInfo
    methods : sequence of {"average", "bilinear", "nearest", "mode", "cubic"}
        One for each band.
    grid : Grid
        The target.
    stack : ExitStack
        Closes the raster.
    progress : Progress
        Hears of undeclared missing marks.
    """
    source = info.grid
    parallel = same_crs(source.crs, grid.crs) and not (source.is_rotated or grid.is_rotated)
    for method in dict.fromkeys(methods):
        positions = [i for i, own in enumerate(methods) if own == method]
        bands = [info.bands[i].index for i in positions]
        if method == "mode" or (method == "average" and parallel):
            reader = stack.enter_context(RasterReader(info.path, progress=progress))
            if parallel:
                yield positions, _by_area(reader, bands, source, grid, method)
            else:
                yield positions, _by_points(reader, bands, source, grid)
            continue
        sources = [Source(str(i), info.path, band, method) for i, band in enumerate(bands)]
        if method == "average":
            yield positions, _by_warping(info, sources, grid, stack, progress)
        else:
            warped = stack.enter_context(CovariateReader(sources, grid, progress))
            yield positions, warped.read


def overlaps(edges: np.ndarray, size: int) -> Overlaps:
    """Measure how far targets and source cells overlap along an axis.

    Parameters
    ----------
    edges : float array, shape (targets + 1,)
        Edges of the targets in source cells, ascending or descending.
    size : int
        Source cells there are; what lies beyond them is covered by nothing.
    """
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    low, high = np.clip(low, 0, size), np.clip(high, 0, size)
    start = np.floor(low + WHOLE).astype(np.int64)
    stop = np.maximum(np.ceil(high - WHOLE).astype(np.int64), start)
    stop[high - low <= WHOLE] = start[high - low <= WHOLE]
    numbers = stop - start
    covered = numbers > 0
    if not covered.any():
        return Overlaps(0, 0, sparse.csr_matrix((low.size, 0)))
    first, last = int(start[covered].min()), int(stop[covered].max())
    target = np.repeat(np.arange(low.size), numbers)
    cell = np.arange(target.size) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    cell += np.repeat(start, numbers)
    length = np.minimum(high[target], cell + 1) - np.maximum(low[target], cell)
    shape = (low.size, last - first)
    return Overlaps(first, last - first, sparse.csr_matrix((length, (target, cell - first)), shape))


def mean_by_area(values: np.ndarray, down: Any, across: Any) -> np.ndarray:
    """Average cells by the area that each target cell covers of them; missing ones weigh nothing.

    Parameters
    ----------
    values : float array, shape (rows, columns)
        NaN for missing.
    down, across : scipy CSR matrixs
        Weights along rows and columns, as :func:`overlaps` gives them.
    """
    there = np.isfinite(values)
    total = _sums(np.where(there, values, 0.0), down, across)
    weight = _sums(there.astype(np.float64), down, across)
    return np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)


def largest_share(values: np.ndarray, down: Any, across: Any) -> np.ndarray:
    """Return the value with the largest area in each target cell; the smaller one on a tie."""
    codes = np.unique(values[np.isfinite(values)])
    shape = (down.shape[0], across.shape[0])
    best, most = np.full(shape, np.nan), np.zeros(shape)
    for code in codes:
        area = _sums((values == code).astype(np.float64), down, across)
        more = area > most * (1 + WHOLE)
        best[more], most[more] = code, area[more]
    return best


def _sums(values: np.ndarray, down: Any, across: Any) -> np.ndarray:
    return np.asarray((across @ (down @ values).T).T)


def _by_area(
    reader: RasterReader, bands: Sequence[int], source: Grid, grid: Grid, method: str
) -> Callable[[Window], np.ndarray]:
    """Resample between grids whose axes are parallel, exactly."""
    combine = mean_by_area if method == "average" else largest_share

    def read(window: Window) -> np.ndarray:
        cols, rows = _edges(source, grid, window)
        across = overlaps(cols, source.width)
        down = overlaps(rows, source.height)
        cells = Window(across.first, down.first, across.count, down.count)
        if cells.width < 1 or cells.height < 1:
            return np.full((len(bands), window.height, window.width), np.nan)
        values = reader.read(bands, cells)
        return np.stack([combine(band, down.weights, across.weights) for band in values])

    return read


def _by_points(
    reader: RasterReader, bands: Sequence[int], source: Grid, grid: Grid
) -> Callable[[Window], np.ndarray]:
    """Take the most frequent class among points spread evenly over each cell."""
    points = int(np.clip(np.ceil(2 * coarsening(source, grid)), 4, 64))

    def read(window: Window) -> np.ndarray:
        cols, rows = _corners(source, grid, window)
        shape = (len(bands), window.height, window.width)
        known = np.isfinite(cols) & np.isfinite(rows)
        if not known.any():
            return np.full(shape, np.nan)
        edges = [np.floor(cols[known].min()), np.floor(rows[known].min())]
        sizes = [np.ceil(cols[known].max()) - edges[0], np.ceil(rows[known].max()) - edges[1]]
        box = Window(int(edges[0]), int(edges[1]), max(1, int(sizes[0])), max(1, int(sizes[1])))
        inside = box.overlap(source.whole)
        if inside is None:
            return np.full(shape, np.nan)
        values = reader.read(bands, inside)
        shares = [_most_frequent(v, cols - inside.col, rows - inside.row, points) for v in values]
        return np.stack(shares)

    return read


def _by_warping(
    info: RasterInfo,
    sources: Sequence[Source],
    grid: Grid,
    stack: contextlib.ExitStack,
    progress: Progress,
) -> Callable[[Window], np.ndarray]:
    """Average through GDAL, a window at a time: it holds all source cells of what it warps."""
    heard = RecordingProgress()
    stack.callback(_tell_marks, info, sources, grid, heard, progress)

    def read(window: Window) -> np.ndarray:
        part = grid.part(window)
        if source_window(info.grid, part) is None:
            return np.full((len(sources), window.height, window.width), np.nan)
        with CovariateReader(sources, part, heard) as reader:
            return reader.read(part.whole)

    return read


def _tell_marks(
    info: RasterInfo,
    sources: Sequence[Source],
    grid: Grid,
    heard: RecordingProgress,
    progress: Progress,
) -> None:
    """Say once what the readers of the windows have said each."""
    if not heard.warnings:
        return
    window = source_window(info.grid, grid)
    with open_raster(info.path) as dataset:
        for source in sources:
            marks = count_marks(dataset, source.band, window)
            warn_of_marks(dataset, source.band, marks, progress)


def _edges(source: Grid, grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of a window's columns and rows as columns and rows of the source."""
    t, s = grid.transform, source.transform
    x = t.c + t.a * np.arange(window.col, window.col + window.width + 1)
    y = t.f + t.e * np.arange(window.row, window.row + window.height + 1)
    return (x - s.c) / s.a, (y - s.f) / s.e


def _corners(source: Grid, grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a window's cells as columns and rows of the source."""
    across, down = np.meshgrid(
        np.arange(window.col, window.col + window.width + 1),
        np.arange(window.row, window.row + window.height + 1),
    )
    t = grid.transform
    x, y = t.a * across + t.b * down + t.c, t.d * across + t.e * down + t.f
    cols, rows = fractional_cells(source, grid.crs, x.ravel().tolist(), y.ravel().tolist())
    return cols.reshape(across.shape), rows.reshape(across.shape)


def _most_frequent(
    values: np.ndarray, cols: np.ndarray, rows: np.ndarray, points: int
) -> np.ndarray:
    """Return each cell's most frequent value at points × points places; the smaller on a tie."""
    codes = np.unique(values[np.isfinite(values)])
    shape = (cols.shape[0] - 1, cols.shape[1] - 1)
    if not codes.size:
        return np.full(shape, np.nan)
    # One class more for what is missing or outside: the last.
    classes = np.searchsorted(codes, values)
    classes[~np.isfinite(values)] = codes.size
    cells = np.arange(shape[0] * shape[1]).reshape(shape)
    counts = np.zeros((cells.size, codes.size + 1), dtype=np.int64)
    steps = (np.arange(points) + 0.5) / points
    for down in steps:
        col, row = (_between(corner, down, steps) for corner in (cols, rows))
        with np.errstate(invalid="ignore"):
            there = (col >= 0) & (col < values.shape[1]) & (row >= 0) & (row < values.shape[0])
        found = np.full(there.shape, codes.size)
        found[there] = classes[row[there].astype(np.int64), col[there].astype(np.int64)]
        places = cells * (codes.size + 1) + found
        counts += np.bincount(places.ravel(), minlength=counts.size).reshape(counts.shape)
    counts = counts[:, : codes.size]
    best = np.where(counts.any(axis=1), codes[counts.argmax(axis=1)], np.nan)
    return np.asarray(best.reshape(shape))


def _between(corner: np.ndarray, down: float, across: np.ndarray) -> np.ndarray:
    """Return a coordinate at a share of each cell's way down and at several of its way across.

    Shape (steps across, rows, columns).
    """
    steps = across[:, None, None]
    left = corner[:-1, :-1] * (1 - down) + corner[1:, :-1] * down
    right = corner[:-1, 1:] * (1 - down) + corner[1:, 1:] * down
    return np.asarray(left * (1 - steps) + right * steps)
