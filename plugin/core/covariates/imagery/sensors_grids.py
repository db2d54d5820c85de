"""Bands of a product on one grid: bands of a scene have cells of several sizes."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import numpy as np

from ...errors import RasterError
from ...progress import Progress
from ...rasters.grids import Grid, Window, place, same_crs
from ...rasters.reading import RasterReader
from ...rasters.warping import CovariateReader, Source, cell_ratio
from .sensors_bands import ProductBand, Scaling

_COARSER = 1 + 1e-6


@dataclass(frozen=True)
class _Taps:
    """The source cells that weigh on each target cell along one axis, arrays (taps, cells)."""

    cells: np.ndarray
    weights: np.ndarray

    def over(self, values: np.ndarray, axis: int) -> np.ndarray:
        """Return weighted sums along an axis, cell by cell: blocks do not change a bit."""
        shape = (-1, 1) if axis == 0 else (1, -1)
        total = None
        for cells, weights in zip(self.cells, self.weights):
            part = values.take(cells, axis=axis) * weights.reshape(shape)
            total = part if total is None else total + part
        return np.asarray(total)


class BandReader:
    """Reads one band as values on a grid, block by block.

    Where the cells agree they are copied. Finer grids are interpolated bilinearly, coarser ones
    take the area-weighted mean; missing cells lose their weight, and by interpolation a cell
    whose centre lies in a missing one is missing. What is read does not depend on the blocks.

    Parameters
    ----------
    band : ProductBand
    scaling : Scaling
    grid : Grid
        The target.
    method : {"automatic", "nearest"}
        ``nearest`` for codes.
    progress : Progress, optional
        Hears of undeclared missing marks.

    Raises
    ------
    RasterError
        For a band in another coordinate reference system whose missing cells its file does not
        declare.
    """

    def __init__(
        self,
        band: ProductBand,
        scaling: Scaling,
        grid: Grid,
        *,
        method: str = "automatic",
        progress: Progress | None = None,
    ) -> None:
        self.band = band
        self._scaling = scaling
        self._grid = grid
        self._method = method
        self._offset = grid.offset_in(band.grid)
        self._axes: tuple[tuple[float, float], tuple[float, float]] | None = None
        self._warper: CovariateReader | None = None
        self._reader: RasterReader | None = None
        if self._offset is None and not _same_axes(band.grid, grid):
            self._warper = self._open_warper(progress)
            return
        if self._offset is None:
            self._axes = _axes(grid, band.grid)
        self._reader = RasterReader(band.path, progress=progress, count_all=False)

    def __enter__(self) -> BandReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for opened in (self._reader, self._warper):
            if opened is not None:
                opened.__exit__(kind, error, trace)

    def read(self, window: Window) -> np.ndarray:
        """Return float64, shape of the window, NaN for missing."""
        if self._warper is not None:
            values = self._warper.read(window)[0].astype(np.float64)
            return self._scaling.apply(values, self.band)
        if self._offset is not None:
            return self._values(window.shifted(*self._offset))
        return self._resampled(window)

    def _values(self, window: Window) -> np.ndarray:
        reader = self._reader
        if reader is None:
            raise RasterError(f"{self.band.label} is closed.", "Run again.")
        return self._scaling.apply(reader.read([self.band.index], window)[0], self.band)

    def _resampled(self, window: Window) -> np.ndarray:
        (col_step, col_start), (row_step, row_start) = self._axes or ((1, 0), (1, 0))
        taps = [
            _taps(step, start, first, count, self._method)
            for step, start, first, count in (
                (row_step, row_start, window.row, window.height),
                (col_step, col_start, window.col, window.width),
            )
        ]
        first_row, last_row = int(taps[0].cells.min()), int(taps[0].cells.max())
        first_col, last_col = int(taps[1].cells.min()), int(taps[1].cells.max())
        values = self._values(
            Window(first_col, first_row, last_col - first_col + 1, last_row - first_row + 1)
        )
        rows = _Taps(taps[0].cells - first_row, taps[0].weights)
        cols = _Taps(taps[1].cells - first_col, taps[1].weights)
        there = np.isfinite(values)
        sums = cols.over(rows.over(np.where(there, values, 0.0), 0), 1)
        weights = cols.over(rows.over(there.astype(np.float64), 0), 1)
        result = np.full(sums.shape, np.nan)
        np.divide(sums, weights, out=result, where=weights > 0)
        if abs(row_step) < _COARSER and abs(col_step) < _COARSER:
            centre_rows = _nearest(row_step, row_start, window.row, window.height) - first_row
            centre_cols = _nearest(col_step, col_start, window.col, window.width) - first_col
            result[~there[np.ix_(centre_rows, centre_cols)]] = np.nan
        return result

    def _open_warper(self, progress: Progress | None) -> CovariateReader:
        band = self.band
        if self._scaling.fills:
            fills = " or ".join(f"{fill:g}" for fill in self._scaling.fills)
            raise RasterError(
                f"{band.label} is in another coordinate reference system and does not declare "
                "its nodata, which would blend into values.",
                f"Set its nodata value ({fills}; gdal_edit.py -a_nodata), or reproject it first.",
            )
        ratio = cell_ratio(band.grid, self._grid)
        automatic = "average" if min(ratio) < 1 / _COARSER else "bilinear"
        method = automatic if self._method == "automatic" else self._method
        source = Source(band.names[0], band.path, band.index, method)
        return CovariateReader([source], self._grid, progress)


def _same_axes(source: Grid, target: Grid) -> bool:
    """Whether columns of one grid are columns of the other, of whatever width."""
    rotated = source.is_rotated or target.is_rotated
    return same_crs(source.crs, target.crs) and not rotated


def _axes(target: Grid, source: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return step and start in source cells of a target column, and of a target row."""
    inverse = ~source.transform
    col, row = place(inverse, *place(target.transform, 0, 0))
    next_col, next_row = place(inverse, *place(target.transform, target.width, target.height))
    return (
        ((next_col - col) / target.width, col),
        ((next_row - row) / target.height, row),
    )


def _taps(step: float, start: float, first: int, count: int, method: str) -> _Taps:
    places = np.arange(first, first + count)
    if method == "nearest":
        cells = _nearest(step, start, first, count)
        return _Taps(cells[None], np.ones((1, count)))
    if abs(step) >= _COARSER:
        edges = np.stack([start + step * places, start + step * (places + 1)])
        low, high = edges.min(axis=0), edges.max(axis=0)
        lowest = np.floor(low + 1e-9).astype(int)
        number = int(np.ceil(abs(step))) + 1
        cells = lowest + np.arange(number)[:, None]
        shares = np.minimum(high, cells + 1) - np.maximum(low, cells)
        return _Taps(cells, np.clip(shares, 0.0, None))
    middle = start + step * (places + 0.5) - 0.5
    left = np.floor(middle).astype(int)
    share = middle - left
    return _Taps(np.stack([left, left + 1]), np.stack([1 - share, share]))


def _nearest(step: float, start: float, first: int, count: int) -> np.ndarray:
    places = np.arange(first, first + count)
    return np.floor(start + step * (places + 0.5) + 1e-9).astype(int)
