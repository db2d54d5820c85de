"""A cheap look at the values of rasters: a bounded number of cells, spread over each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..progress import Progress
from ..rasters.grids import Grid, Window
from ..rasters.reading import RasterReader

_WHOLE_CELLS = 2**20  # rasters of up to so many cells are read whole
_LATTICE = 8  # else so many windows a side
_WINDOW = 64
_TILE = 256  # what reading a small window costs: a tile of the file
_FEWEST_MARKS = 3  # equal values beside the others that look like a mark
_FAR, _FAR_WHOLE = 0.5, 3.0  # how far a mark lies from the others, in their spans


@dataclass(frozen=True)
class BandValues:
    """What a look at a band showed.

    Parameters
    ----------
    cells : int
        Cells looked at.
    known : int
        Those with a value.
    minimum, maximum : float
        Of the values; NaN where there is none.
    mark : tuple of (float, int) or None
        A whole number far from all other values, with its count: it looks like a mark of missing
        cells that is not declared.
    """

    cells: int
    known: int
    minimum: float
    maximum: float
    mark: tuple[float, int] | None = None

    @property
    def missing(self) -> float:
        """Share of the cells looked at that have no value, 0–1."""
        return 1.0 - self.known / self.cells


def sample_windows(grid: Grid) -> list[Window]:
    """Return the windows of a look: the whole grid where it is small, else 8 × 8 spread over it."""
    if grid.width * grid.height <= _WHOLE_CELLS:
        return [grid.whole]
    cols, rows = _starts(grid.width), _starts(grid.height)
    return [
        Window(col, row, min(_WINDOW, grid.width), min(_WINDOW, grid.height))
        for row in rows
        for col in cols
    ]


def sampling_cost(grid: Grid) -> int:
    """Return about how many cells of a file are decoded for a look at a band."""
    return min(grid.width * grid.height, (_LATTICE * _TILE) ** 2)


def look_at_bands(path: str, bands: Sequence[int], progress: Progress) -> tuple[BandValues, ...]:
    """Look at some cells of bands; missing is what `RasterReader` takes as missing."""
    with RasterReader(path, progress=progress, count_all=False) as reader:
        windows = sample_windows(reader.grid)
        parts = [reader.read(bands, window).reshape(len(bands), -1) for window in windows]
    return tuple(_summary(values) for values in np.concatenate(parts, axis=1))


def _starts(length: int) -> list[int]:
    """Return the first cells of the windows along one side, in whole tiles where it is long."""
    if length <= _WINDOW:
        return [0]
    count = min(_LATTICE, length // _WINDOW)
    step = (length - _WINDOW) / max(count - 1, 1)
    return [round(index * step) for index in range(count)]


def _summary(values: np.ndarray) -> BandValues:
    known = values[np.isfinite(values)]
    if not known.size:
        return BandValues(values.size, 0, float("nan"), float("nan"))
    low, high = float(known.min()), float(known.max())
    return BandValues(values.size, known.size, low, high, _mark(known, low, high))


def _mark(known: np.ndarray, low: float, high: float) -> tuple[float, int] | None:
    """Return the smallest or largest value where it stands far apart from the rest.

    A whole number that comes several times: among values with decimals, at least half their span
    away; among whole numbers, where classes and counts leave holes as well, several spans.
    """
    for end in (low, high):
        same = known == end
        count = int(same.sum())
        if end != round(end) or count < _FEWEST_MARKS or known.size - count < _FEWEST_MARKS:
            continue
        others = known[~same]
        decimals = float(np.mean(others != np.round(others))) > 0.5
        gap = float(np.abs(others - end).min())
        if gap > (_FAR if decimals else _FAR_WHOLE) * max(float(np.ptp(others)), 1e-12):
            return end, count
    return None
