"""Two maps of soil moisture compared cell by cell: the difference as a map, and statistics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..covariates.gridding.alignment_cells import CellReader, cell_readers, coarsening
from ..covariates.timeseries.series_files import refuse_own_inputs
from ..errors import InputError
from ..progress import Progress
from ..rasters.cache import bounded_cache
from ..rasters.grids import Grid, Window, transform_extent
from ..rasters.reading import RasterInfo, RasterReader
from ..rasters.sampling import fractional_cells
from ..rasters.styles import continuous_style
from ..rasters.tiles import TILE
from ..rasters.writing import RasterWriter, rasterize_mask
from .comparison_maps import MapBand, check_dates, check_units, round_up
from .comparison_statistics import PairCounts, PairMoments

GRIDS = ("input", "reference", "coarser")
RESAMPLINGS = ("auto", "nearest", "bilinear", "average")
DRIER_WETTER = (
    "#543005", "#8c510a", "#bf812d", "#dfc27d", "#f6e8c3", "#f5f5f5",
    "#c7eae5", "#80cdc1", "#35978f", "#01665e", "#003c30",
)  # fmt: skip
"""Brown where the input is drier, blue-green where it is wetter (BrBG of Cynthia Brewer)."""

_COARSER = 1.01  # cells of the target by source cells: more than this is coarser
_SOURCE_CELLS = 1024  # a side that are read at a time where the grid is coarser
_POINTS = 8  # a side of a cell at which its cover is judged
_PREVIEW = 420  # cells a side of the maps in the report


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison has found.

    Attributes
    ----------
    maps : (MapBand, MapBand)
        Input and reference.
    resampling : (str, str)
        How each came to the grid; empty where its cells are the grid's.
    grid : Grid
        The cells compared.
    moments, counts
        Statistics of the cells that both maps have.
    previews : (array, array, array)
        Input, reference and difference in at most some 400 × 400 cells, NaN for missing.
    preview_grid : Grid
        Their cells.
    widest : float
        Difference at either end of the colours.
    uncovered : int
        Cells left out because too little of them is covered by the finer map.
    """

    maps: tuple[MapBand, MapBand]
    resampling: tuple[str, str]
    grid: Grid
    moments: PairMoments
    counts: PairCounts
    previews: tuple[np.ndarray, np.ndarray, np.ndarray]
    preview_grid: Grid
    widest: float
    uncovered: int


def comparison_grid(first: MapBand, second: MapBand, which: str) -> Grid:
    """Return the cells of one of two maps that touch the other.

    Parameters
    ----------
    which : {"input", "reference", "coarser"}
        Whose cells; of maps with cells of one size, `coarser` takes the input's.

    Raises
    ------
    InputError
        Where the maps have no place in common.
    """
    extent = transform_extent(second.grid.crs, first.grid.crs, second.grid.bounds)
    if first.grid.window_of(extent) is None:
        raise InputError(
            f"The maps have no place in common: INPUT covers {first.grid.describe()}; REFERENCE "
            f"covers {second.grid.describe()}.",
            "Check that both lie where they should, and their coordinate reference systems.",
        )
    if which == "coarser":
        which = "reference" if coarsening(first.grid, second.grid) > _COARSER else "input"
    own, other = (first, second) if which == "input" else (second, first)
    return own.grid.cut(transform_extent(other.grid.crs, own.grid.crs, other.grid.bounds))


def compare_maps(
    first: MapBand,
    second: MapBand,
    grid: Grid,
    output: str | Path,
    *,
    resampling: str = "auto",
    mask: Sequence[dict[str, Any]] | None = None,
    minimum_cover: float = 0.5,
    threshold: float = 0.05,
    progress: Progress | None = None,
) -> Comparison:
    """Write input − reference and return what it says.

    Two passes over the maps, tile by tile, in constant memory: the first takes moments, the
    second, when the ends of the bins are known, distributions and the difference.

    Parameters
    ----------
    first, second : MapBand
        Input and reference.
    grid : Grid
        The cells compared, see :func:`comparison_grid`.
    output : path
        The ``.tif`` with the band ``difference``, m³ m⁻³.
    resampling : {"auto", "nearest", "bilinear", "average"}
        How a map whose cells are others comes to the grid; `auto` averages where the grid is
        coarser and else interpolates.
    mask : sequence of dict, optional
        GeoJSON polygons in the grid's reference system; cells with their centre outside are left
        out.
    minimum_cover : float
        A cell that averages a finer map counts where at least this share of it has values.
    threshold : float
        Differences beyond it are counted as wetter or drier, m³ m⁻³.

    Raises
    ------
    InputError
        Where no cell has both values, a map looks like percent, or the output is an input.
    """
    progress = progress or Progress()
    refuse_own_inputs([first.path, second.path], [Path(output)], "Give OUTPUT another name.")
    methods = (
        _method(first.grid, grid, resampling),
        _method(second.grid, grid, resampling),
    )
    check_dates(first, second, progress)
    moments, preview = PairMoments(threshold), _Preview(grid)
    with bounded_cache(), contextlib.ExitStack() as stack:
        pairs = _Pairs(first, second, methods, grid, mask, minimum_cover, stack, progress)
        for window, a, b in pairs.read(progress.part(0.0, 0.5)):
            preview.add(window, a, b)
            both = np.isfinite(a) & np.isfinite(b)
            moments.add(a[both], b[both])
            if pairs.bounds is not None:
                low, high = pairs.bounds
                both &= np.isfinite(low) & np.isfinite(high)
                moments.add_interval(b[both], low[both], high[both])
        _check_pairs(pairs, moments)
        uncovered = pairs.uncovered
        check_units((first, second), moments, progress)
        widest = _widest(moments)
        counts = PairCounts(moments)
        style = continuous_style(-widest, widest, colours=DRIER_WETTER)
        day = first.day if first.day == second.day else None
        with RasterWriter(
            output, grid, ["difference"], day=day, style=style, units=["m3 m-3"]
        ) as writer:
            for window, a, b in pairs.read(progress.part(0.5, 1.0)):
                both = np.isfinite(a) & np.isfinite(b)
                counts.add(a[both], b[both])
                writer.write(window, (a - b)[None])
    if uncovered:
        progress.info(
            f"{uncovered} cells are left out: less than {100 * minimum_cover:g} % of them is "
            "covered by the finer map."
        )
    return Comparison(
        (first, second),
        methods,
        grid,
        moments,
        counts,
        preview.maps(),
        preview.grid,
        widest,
        uncovered,
    )


class _Pairs:
    """Reads both maps on the grid, tile by tile.

    Attributes
    ----------
    bounds : (array, array) or None
        Bounds of the input's 90 % intervals in the tile last read, where it has them and its
        cells are the grid's.
    inside : int
        Cells inside the mask in the last pass.
    uncovered : int
        Cells left out for want of cover in the last pass.
    """

    def __init__(
        self,
        first: MapBand,
        second: MapBand,
        methods: tuple[str, str],
        grid: Grid,
        mask: Sequence[dict[str, Any]] | None,
        minimum_cover: float,
        stack: contextlib.ExitStack,
        progress: Progress,
    ) -> None:
        self._grid, self._mask, self._minimum = grid, mask, minimum_cover
        self._with_bounds = bool(first.bounds) and not methods[0]
        self.bounds: tuple[np.ndarray, np.ndarray] | None = None
        self.inside = self.uncovered = 0
        extra = first.bounds if self._with_bounds and first.bounds else ()
        self._sides = [
            _Side(first, extra, methods[0], grid, stack, progress),
            _Side(second, (), methods[1], grid, stack, progress),
        ]
        reach = max([1.0] + [coarsening(one.grid, grid) for one in (first, second)])
        self._block = int(np.clip(_SOURCE_CELLS / reach, 1, TILE))

    def read(self, progress: Progress) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
        """Yield the tiles with both maps, float64 (rows, columns), NaN for missing."""
        self.inside = self.uncovered = 0
        windows = self._grid.windows(self._block)
        for done, window in enumerate(windows):
            inside = np.ones((window.height, window.width), dtype=bool)
            if self._mask is not None:
                inside = rasterize_mask(self._mask, self._grid, window)
            self.inside += int(inside.sum())
            if inside.any():
                (a, *bounds), (b,) = (side.read(window) for side in self._sides)
                for side, values in zip(self._sides, (a, b)):
                    thin = side.thin(window, self._minimum) & np.isfinite(values)
                    self.uncovered += int((thin & inside).sum())
                    values[thin] = np.nan
                self.bounds = (bounds[0], bounds[1]) if bounds else None
            else:
                self.bounds = None
                a, b = np.full((2, *inside.shape), np.nan)
            a[~inside] = np.nan
            b[~inside] = np.nan
            yield window, a, b
            progress.step((done + 1) / len(windows))


class _Side:
    """A map on the cells of the grid."""

    def __init__(
        self,
        one: MapBand,
        extra: Sequence[int],
        method: str,
        grid: Grid,
        stack: contextlib.ExitStack,
        progress: Progress,
    ) -> None:
        self._map, self._grid, self._method = one, grid, method
        bands = (one.info, *(one.info_of(index) for index in extra))
        info = RasterInfo(one.path, one.grid, bands)
        used = [method or "nearest"] * len(bands)
        self._readers: list[CellReader] = list(cell_readers(info, used, grid, stack, progress))
        self._cells = stack.enter_context(RasterReader(one.path)) if method == "average" else None

    def read(self, window: Window) -> np.ndarray:
        """Return m³ m⁻³, float64 (bands, rows, columns)."""
        ((_, read),) = self._readers
        return np.asarray(read(window), dtype=np.float64) * self._map.factor

    def thin(self, window: Window, minimum: float) -> np.ndarray:
        """Return which cells average values over less than the smallest share of their area."""
        thin = np.zeros((window.height, window.width), dtype=bool)
        if self._cells is None or minimum <= 0:
            return thin
        source = self._map.grid
        xs, ys = self._points(window)
        cols, rows = fractional_cells(
            source, self._grid.crs, xs.ravel().tolist(), ys.ravel().tolist()
        )
        known = np.isfinite(cols) & np.isfinite(rows)
        cols, rows = (np.where(known, np.floor(v), -1).astype(np.int64) for v in (cols, rows))
        known &= (cols >= 0) & (cols < source.width) & (rows >= 0) & (rows < source.height)
        found = np.zeros(cols.size, dtype=bool)
        if known.any():
            left, top = int(cols[known].min()), int(rows[known].min())
            box = Window(
                left, top, int(cols[known].max()) - left + 1, int(rows[known].max()) - top + 1
            )
            there = np.isfinite(self._cells.read([self._map.band], box)[0])
            found[known] = there[rows[known] - top, cols[known] - left]
        share = found.reshape(-1, *thin.shape).mean(axis=0)
        return np.asarray(share < minimum)

    def _points(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return points spread evenly over the cells, shape (points, rows, columns)."""
        x, y = self._grid.centres(window)
        t = self._grid.transform
        steps = (np.arange(_POINTS) + 0.5) / _POINTS - 0.5
        across, down = (part.reshape(-1, 1, 1) for part in np.meshgrid(steps, steps))
        return x + t.a * across + t.b * down, y + t.d * across + t.e * down


class _Preview:
    """Both maps and their difference, averaged over squares of cells."""

    def __init__(self, grid: Grid) -> None:
        self._step = max(1, -(-max(grid.width, grid.height) // _PREVIEW))
        t = grid.transform
        width, height = -(-grid.width // self._step), -(-grid.height // self._step)
        scaled = type(t)(
            t.a * self._step, t.b * self._step, t.c, t.d * self._step, t.e * self._step, t.f
        )
        self.grid = Grid(grid.crs, scaled, width, height)
        self._sums = np.zeros((3, height * width))
        self._counts = np.zeros((3, height * width), dtype=np.int64)

    def add(self, window: Window, first: np.ndarray, second: np.ndarray) -> None:
        cols = (window.col + np.arange(window.width)) // self._step
        rows = (window.row + np.arange(window.height)) // self._step
        place = (rows[:, None] * self.grid.width + cols).ravel()
        for i, values in enumerate((first, second, first - second)):
            flat = values.ravel()
            there = np.isfinite(flat)
            size = self._sums.shape[1]
            self._sums[i] += np.bincount(place[there], flat[there], minlength=size)
            self._counts[i] += np.bincount(place[there], minlength=size)

    def maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(self._counts > 0, self._sums / self._counts, np.nan)
        first, second, difference = means.reshape(3, *self.grid.shape)
        return first, second, difference


def _method(source: Grid, grid: Grid, resampling: str) -> str:
    """Return how a map comes to the grid; empty where its cells are the grid's."""
    if resampling not in RESAMPLINGS:
        raise InputError(
            f"The resampling '{resampling}' is unknown.", f"Use one of {', '.join(RESAMPLINGS)}."
        )
    if grid.offset_in(source) is not None:
        return ""
    if resampling != "auto":
        return resampling
    return "average" if coarsening(source, grid) > _COARSER else "bilinear"


def _check_pairs(pairs: _Pairs, moments: PairMoments) -> None:
    if not pairs.inside:
        raise InputError(
            "No cell's centre lies inside the mask.",
            "Check that the mask overlaps both maps, or compare on a finer grid.",
        )
    if moments.n:
        return
    cure = "Check bands, mask and missing cells of both maps."
    if pairs.uncovered:
        cure = (
            f"In {pairs.uncovered} cells too little is covered by the finer map: lower the "
            "smallest share, or compare on the finer grid."
        )
    raise InputError("No cell has a value in both maps.", cure)


def _widest(moments: PairMoments) -> float:
    """Return a round difference for the ends of the colours: 2.5 SD beyond the mean difference."""
    largest = max(abs(float(moments.low[2])), abs(float(moments.high[2])))
    return round_up(min(largest, abs(moments.me) + 2.5 * moments.ubrmse))
