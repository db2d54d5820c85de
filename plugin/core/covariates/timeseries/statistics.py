"""Statistics over time of a series of rasters, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Sequence

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Window
from ...rasters.workers import compute_in_order
from ...rasters.writing import RasterWriter
from ..rows import listed
from ..table import RasterInput
from .series import (
    POOLED,
    SEPARATE,
    Layer,
    Series,
    collect_series,
    common_grid,
    describe_rasters,
    repeated_days,
)
from .series_files import SeriesReader, blocks_of

STATISTICS = ("min", "mean", "max", "sd")
_CELLS = 4_000_000  # cells of all series whose statistics are held at a time, some 40 bytes each
_READ_CELLS = 500_000  # cells read at a time
_PIECE = 32_768  # cells that stay in the processor's cache


class RunningStatistics:
    """Minimum, mean, maximum and standard deviation of blocks that come one after another.

    One pass and constant memory: sums of the differences from each cell's first value and of
    their squares, whose rounding grows with the number of values at most. The standard deviation
    is that of the values given (divided by their number n), as in QGIS, NumPy and Earth Engine.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the blocks.

    References
    ----------
    Chan, Golub & LeVeque (1983), The American Statistician 37(3),
    doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        size = shape[0] * shape[1]
        self._count = np.zeros(size, dtype=np.int32)
        self._repeats = np.zeros(0, dtype=np.int32)
        self._of_day = np.zeros(0, dtype=bool)
        self._first = np.full(size, np.nan)
        self._sum = np.zeros(size)
        self._squares = np.zeros(size)
        self._least = np.full(size, np.nan)
        self._most = np.full(size, np.nan)
        self._started: set[int] = set()

    def add(self, values: np.ndarray, *, new_date: bool = True) -> None:
        """Take in a block, NaN for missing; `new_date` is false for another of the same day."""
        flat = np.ascontiguousarray(values, dtype=np.float64).ravel()
        there = ~np.isnan(flat)
        if new_date:
            self._of_day = there
        else:
            if not self._repeats.size:
                self._repeats = np.zeros_like(self._count)
            self._repeats += there & self._of_day
            self._of_day = there | self._of_day
        for start in range(0, flat.size, _PIECE):
            piece = slice(start, start + _PIECE)
            self._add_piece(start, piece, flat[piece], there[piece])

    def _add_piece(self, start: int, piece: slice, values: np.ndarray, there: np.ndarray) -> None:
        first = self._first[piece]
        if start not in self._started:
            np.copyto(first, values, where=np.isnan(first))
            if not np.isnan(first).any():
                self._started.add(start)
        change = values - first
        if not there.all():
            change[~there] = 0.0
        self._count[piece] += there
        self._sum[piece] += change
        np.multiply(change, change, out=change)
        self._squares[piece] += change
        np.fmin(self._least[piece], values, out=self._least[piece])
        np.fmax(self._most[piece], values, out=self._most[piece])

    def result(self, statistic: str, minimum_dates: int) -> np.ndarray:
        """Return a statistic, NaN where there are fewer than `minimum_dates` dates."""
        dates = self._count - self._repeats if self._repeats.size else self._count
        count = np.maximum(self._count, 1)
        if statistic == "min":
            values = self._least
        elif statistic == "max":
            values = self._most
        elif statistic == "mean":
            values = self._first + self._sum / count
        else:
            variance = (self._squares - self._sum * self._sum / count) / count
            values = np.sqrt(np.maximum(variance, 0))
        enough = dates >= max(1, minimum_dates)
        return np.where(enough, values, np.nan).reshape(self._shape)


@dataclass(frozen=True)
class _Step:
    """Bands of one raster and one day, each with the number of its series."""

    path: Path
    bands: tuple[int, ...]
    series: tuple[int, ...]
    new_date: tuple[bool, ...]


@dataclass(frozen=True)
class _Read:
    """A part of a raster, where its values go, and the share of the work done with it."""

    step: _Step
    window: Window
    running: list[RunningStatistics]
    fraction: float


def temporal_statistics(
    inputs: Sequence[RasterInput],
    statistics: Sequence[str],
    output: str | Path,
    *,
    minimum_dates: int = 10,
    bands: Sequence[str] = (),
    directions: str = SEPARATE,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Write minimum, mean, maximum and standard deviation over time of each covariate.

    One pass over the rasters, block by block, in constant memory.

    Parameters
    ----------
    inputs : sequence of RasterInput
        Rasters of one grid; bands of the same name form a series. Rasters without a date count
        as a day each, several of a day as one date.
    statistics : sequence of {"min", "mean", "max", "sd"}
        The bands written are named ``VV_min`` … in this order, series by series.
    output : path
        The ``.tif``.
    minimum_dates : int
        A cell with fewer dates is missing.
    bands : sequence of str
        Names or shell patterns (``V?``) of the bands wanted; all without any.
    directions : {"separate", "pooled"}
        Whether ascending and descending images, told apart by ``asc`` and ``desc`` in the file
        name, give bands of their own (``VV_asc_min``, ``VV_desc_min``) where there are both.
    threads : int
        How many parts of rasters are read at a time.
    progress : Progress, optional

    Returns
    -------
    tuple of str
        The names of the bands written.

    Raises
    ------
    InputError
        For no raster or an unknown statistic.
    RasterError
        For rasters on different grids: the first two are named.
    """
    progress = progress or Progress()
    threads = max(1, threads)
    _check_settings(inputs, statistics, directions)
    infos = describe_rasters(inputs, progress.part(0.0, 0.02))
    grid = common_grid([(info.path, info.grid) for info in infos])
    series = collect_series(infos, bands=bands, directions=directions, progress=progress)
    _report(series, minimum_dates, progress)
    names = tuple(f"{one.name}_{statistic}" for one in series for statistic in statistics)
    units = [one.units for one in series for _ in statistics]
    filled = 0
    blocks = blocks_of(grid, _CELLS // len(series))
    writer = RasterWriter(output, grid, names, units=units, threads=threads)
    with bounded_cache(), writer, SeriesReader(progress, threads) as reader:
        for done, block in enumerate(blocks):
            part = progress.part(
                0.02 + 0.98 * done / len(blocks), 0.02 + 0.98 * (done + 1) / len(blocks)
            )
            for window, running in _statistics_of(series, block, reader, threads, part):
                values = np.stack(
                    [one.result(name, minimum_dates) for one in running for name in statistics]
                )
                filled += int(np.isfinite(values).any(axis=0).sum())
                writer.write(window, values)
    if not filled:
        progress.warn(
            f"No cell has {minimum_dates} dates: every value is missing. Give more rasters or "
            "lower the smallest number of dates."
        )
    return names


def _statistics_of(
    series: Sequence[Series], block: Window, reader: SeriesReader, threads: int, progress: Progress
) -> list[tuple[Window, list[RunningStatistics]]]:
    """Read every raster once within a block, in threads; its values are added in their order."""
    parts = [
        (window, [RunningStatistics((window.height, window.width)) for _ in series])
        for window in _parts(block)
    ]
    steps = _steps(series)
    reads = [
        _Read(step, window, running, (done + (place + 1) / len(parts)) / len(steps))
        for done, step in enumerate(steps)
        for place, (window, running) in enumerate(parts)
    ]

    def read(item: _Read) -> np.ndarray:
        return reader.read(item.step.path, item.step.bands, item.window)

    def add(item: _Read, values: np.ndarray) -> None:
        for position, new_date, band in zip(item.step.series, item.step.new_date, values):
            item.running[position].add(band, new_date=new_date)
        progress.step(item.fraction)

    compute_in_order(read, reads, add, threads, progress)
    return parts


def _parts(block: Window) -> list[Window]:
    """Cut a block into strips of whole tiles."""
    rows = max(1, _READ_CELLS // max(1, block.width) // 256) * 256
    return [
        Window(block.col, row, block.width, min(rows, block.row + block.height - row))
        for row in range(block.row, block.row + block.height, rows)
    ]


def _steps(series: Sequence[Series]) -> list[_Step]:
    """Return what is read one after the other: by day, the bands of a raster together."""
    together: dict[tuple[date, Path], list[tuple[int, Layer, bool]]] = {}
    for position, one in enumerate(series):
        before: date | None = None
        for layer in one.layers:
            new = layer.day is None or layer.day != before
            before = layer.day
            together.setdefault((layer.day or date.min, layer.path), []).append(
                (position, layer, new)
            )
    return [
        _Step(
            path,
            tuple(layer.band for _, layer, _ in members),
            tuple(position for position, _, _ in members),
            tuple(new for _, _, new in members),
        )
        for (_, path), members in sorted(together.items(), key=lambda item: item[0])
    ]


def _check_settings(
    inputs: Sequence[RasterInput], statistics: Sequence[str], directions: str
) -> None:
    if not inputs:
        raise InputError("No raster is given.", "Add the rasters of the series.")
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown or not statistics:
        raise InputError(
            f"The statistics '{';'.join(statistics)}' cannot be computed.",
            f"Choose from {', '.join(STATISTICS)}.",
        )
    if directions not in (SEPARATE, POOLED):
        raise InputError(f"Directions cannot be '{directions}'.", f"Choose {SEPARATE} or {POOLED}.")


def _report(series: Sequence[Series], minimum_dates: int, progress: Progress) -> None:
    undated = {layer.path.name for one in series for layer in one.layers if layer.day is None}
    if undated:
        progress.warn(
            f"Rasters without a date that can be read, each counted as a date of its own: "
            f"{listed(sorted(undated))}."
        )
    for one in series:
        nameless = sum(layer.day is None for layer in one.layers)
        dates = len(one.days) + nameless
        progress.info(f"{one.name}: {len(one.layers)} rasters on {dates} dates.")
        repeated = repeated_days(one)
        if repeated:
            texts = [
                f"{day}: {' and '.join(layer.path.name for layer in layers)}"
                for day, layers in repeated.items()
            ]
            progress.warn(
                f"{one.name} has several rasters on a day, which count as one date while all "
                f"their values enter: {listed(texts)}."
            )
        if dates < minimum_dates:
            progress.warn(
                f"{one.name} has {dates} dates, fewer than the {minimum_dates} that a cell "
                "needs: its statistics are missing everywhere."
            )
