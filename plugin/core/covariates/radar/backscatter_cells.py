"""Backscatter in larger cells: area-weighted means of linear power, smoothing, decibels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...rasters.grids import WHOLE, Grid, Window

_TO_POWER = math.log(10.0) / 10.0


@dataclass(frozen=True, eq=False)
class Spans:
    """Which source cells each target cell covers along one axis, and how much of them.

    Target cell j covers the share ``weights[k, j]`` of source cell ``first[j] + k``. `step` is
    the number of source cells in a target cell where that is whole and no cell is cut, else 0.
    """

    first: np.ndarray
    weights: np.ndarray
    step: int

    @classmethod
    def of(cls, origin: float, ratio: float, start: int, count: int) -> Spans:
        """Lay `count` target cells from number `start` on over source cells.

        Parameters
        ----------
        origin : float
            Where target cell 0 begins, in source cells.
        ratio : float
            Source cells in a target cell, at least 1.
        """
        edges = origin + ratio * np.arange(start, start + count + 1, dtype=np.float64)
        nearest = np.round(edges)
        edges = np.where(np.abs(edges - nearest) <= WHOLE, nearest, edges)
        first = np.floor(edges[:-1]).astype(np.int64)
        steps = np.diff(edges)
        if (edges == nearest).all() and (steps == steps[0]).all():
            step = int(steps[0])
            return cls(first, np.ones((step, count)), step)
        reach = int((np.ceil(edges[1:]).astype(np.int64) - first).max())
        cells = first + np.arange(reach)[:, None]
        covered = np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells)
        return cls(first, np.clip(covered, 0.0, 1.0), 0)

    @property
    def source(self) -> slice:
        """The source cells from the first to the last that are covered."""
        return slice(int(self.first[0]), int(self.first[-1]) + len(self.weights))

    def add(self, values: np.ndarray, start: int, totals: np.ndarray, *, along_rows: bool) -> None:
        """Add weighted source cells to their target cells, in the order of the source.

        Parameters
        ----------
        values : array
            Source cells from number `start` on, along the first axis (`along_rows`) or the last.
        totals : array
            Target cells, changed in place. Every cell takes its source cells in the same order
            however they are cut into portions.
        """
        if not along_rows:
            values, totals = values.T, totals.T
        for k, weights in enumerate(self.weights):
            numbers = self.first + k - start
            # first cells ascend, so those at hand are neighbours
            here = slice(*np.searchsorted(numbers, (0, len(values))))
            if here.start == here.stop:
                continue
            if self.step:
                begin = int(numbers[here.start])
                stop = begin + self.step * (here.stop - here.start)
                totals[here] += values[begin : stop : self.step]
            else:
                totals[here] += values[numbers[here]] * weights[here, None]


@dataclass(frozen=True, eq=False)
class Cover:
    """The target cells of a window over a source grid: spans along rows and columns."""

    rows: Spans
    cols: Spans
    area: float  # of a source cell, as a share of a target cell

    @classmethod
    def of(cls, source: Grid, target: Grid, window: Window) -> Cover:
        """Relate a window of the target to the source; both are north-up in one system."""
        (x_ratio, x_origin), (y_ratio, y_origin) = axes(source, target)
        return cls(
            Spans.of(y_origin, y_ratio, window.row, window.height),
            Spans.of(x_origin, x_ratio, window.col, window.width),
            1.0 / (x_ratio * y_ratio),
        )


def axes(source: Grid, target: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return, for columns and rows, source cells per target cell and where target cell 0 begins.

    The origin is in source cells; a ratio within 1e-6 of a whole number is whole.
    """
    s, t = source.transform, target.transform
    found = []
    for step, origin, own_step, own_origin in ((t.a, t.c, s.a, s.c), (t.e, t.f, s.e, s.f)):
        ratio = step / own_step
        nearest = round(ratio)
        # Off by less than a millionth of a cell over the whole grid: the same cells.
        if nearest and abs(ratio - nearest) * max(target.width, target.height) <= WHOLE:
            ratio = float(nearest)
        found.append((ratio, (origin - own_origin) / own_step))
    return found[0], found[1]


def touched_cells(source: Grid, target: Grid) -> Window:
    """Return the target cells that a source covers, also those beyond the target's edges."""
    xmin, ymin, xmax, ymax = source.bounds
    t = target.transform
    col, row = math.floor((xmin - t.c) / t.a + WHOLE), math.floor((ymax - t.f) / t.e + WHOLE)
    right, below = math.ceil((xmax - t.c) / t.a - WHOLE), math.ceil((ymin - t.f) / t.e - WHOLE)
    return Window(col, row, right - col, below - row)


class CellMeans:
    """Area-weighted means in target cells, summed up portion by portion and source by source.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of target cells.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._totals = np.zeros(shape)
        self._weights = np.zeros(shape)

    def add(self, sums: SourceSums, place: Window) -> None:
        """Take in the finished sums of one source at a place of the target cells."""
        totals, weights = sums.cells()
        self._totals[place.slices] += totals
        self._weights[place.slices] += weights

    def result(self, least: float = 0.0) -> np.ndarray:
        """Return the means; NaN where no cell, or less than the share `least`, has a value."""
        enough = (self._weights > 0) & (self._weights >= least - 1e-9)
        means = np.full(self._totals.shape, np.nan)
        return np.divide(self._totals, self._weights, out=means, where=enough)


class SourceSums:
    """Sums of one source over target cells, row after row; columns are summed at the end."""

    def __init__(self, cover: Cover) -> None:
        self._cover = cover
        cols = cover.cols.source
        shape = (len(cover.rows.first), cols.stop - cols.start)
        self._totals = np.zeros(shape)
        counted = 0 < cover.rows.step <= np.iinfo(np.uint16).max
        self._weights = np.zeros(shape, dtype=np.uint16 if counted else np.float64)

    def add(self, values: np.ndarray, valid: np.ndarray, first_row: int) -> None:
        """Take in whole source rows from `first_row` on; `values` are 0 where not `valid`."""
        rows = self._cover.rows
        rows.add(values, first_row, self._totals, along_rows=True)
        rows.add(valid.view(np.uint8), first_row, self._weights, along_rows=True)

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Return value × area and area with values, in shares of a target cell."""
        cover = self._cover
        shape = (len(cover.rows.first), len(cover.cols.first))
        found = []
        for sums in (self._totals, self._weights):
            cells = np.zeros(shape)
            cover.cols.add(sums, cover.cols.source.start, cells, along_rows=False)
            found.append(cells * cover.area)
        return found[0], found[1]


def power_within(
    values: np.ndarray, low: float, high: float, *, decibels: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return linear power and which cells hold one.

    Parameters
    ----------
    values : float64 array
        Backscatter, NaN for missing; changed in place.
    low, high : float
        Range in dB, ends included; cells outside are missing.
    decibels : bool
        Whether `values` are in dB, else linear power.

    Returns
    -------
    power, valid : float64 and bool arrays
        Power is 0 where not valid.
    """
    if not decibels:
        low, high = to_power(low), to_power(high)
    with np.errstate(invalid="ignore"):
        valid = (values >= low) & (values <= high)
    np.copyto(values, -np.inf if decibels else 0.0, where=~valid)
    if decibels:
        values *= _TO_POWER
        np.exp(values, out=values)
    return values, valid


def to_power(decibels: float) -> float:
    """Return the linear power of a backscatter in dB."""
    return float(10.0 ** (decibels / 10.0))


def to_decibels(power: np.ndarray) -> np.ndarray:
    """Return backscatter in dB; NaN stays."""
    return np.asarray(10.0 * np.log10(power))


def smooth_cells(values: np.ndarray) -> np.ndarray:
    """Return the means of 3×3 cells with the weights [1 2 1; 2 4 2; 1 2 1], less a rim of one.

    Missing neighbours (NaN) lose their weight; a missing centre stays missing.

    Parameters
    ----------
    values : float64 array, shape (rows + 2, columns + 2)
        Linear power.

    Returns
    -------
    float64 array, shape (rows, columns)
    """
    there = np.isfinite(values)
    totals = _weigh(np.where(there, values, 0.0))
    weights = _weigh(there.astype(np.float64))
    means = np.full(totals.shape, np.nan)
    return np.divide(totals, weights, out=means, where=there[1:-1, 1:-1])


def _weigh(values: np.ndarray) -> np.ndarray:
    rows = values[:-2] + 2.0 * values[1:-1] + values[2:]
    return np.asarray(rows[:, :-2] + 2.0 * rows[:, 1:-1] + rows[:, 2:])
