"""Statistics over time of a series of rasters, cell by cell."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Sequence

import numpy as np

from ..errors import InputError, RasterError
from ..progress import Progress
from ..rasters.grids import Grid, Window
from ..rasters.reading import RasterInfo, RasterReader, describe_raster
from ..rasters.writing import RasterWriter
from .table import RasterInput

STATISTICS = ("min", "mean", "max", "sd")
_BLOCK = 512
_OPEN_FILES = 64


@dataclass(frozen=True)
class _Layer:
    """One band of one raster: a covariate on a day (None where the raster has no date)."""

    path: Path
    band: int
    day: date | None


class RunningStatistics:
    """Minimum, mean, maximum and standard deviation of blocks that come one after another.

    Welford's update: one pass and constant memory. The standard deviation is that of the values
    given (divided by their number n), as in QGIS, NumPy and Earth Engine.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the blocks.

    References
    ----------
    Welford (1962), Technometrics 4(3), doi:10.1080/00401706.1962.10490022.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.count = np.zeros(shape, dtype=np.int32)
        self.dates = np.zeros(shape, dtype=np.int32)
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)
        self._least = np.full(shape, np.inf)
        self._most = np.full(shape, -np.inf)
        self._seen = np.zeros(shape, dtype=bool)

    def add(self, values: np.ndarray, *, new_date: bool = True) -> None:
        """Take in a block, NaN for missing; `new_date` is false for another of the same day."""
        if new_date:
            self._seen[:] = False
        there = np.isfinite(values)
        self.dates += there & ~self._seen
        self._seen |= there
        self.count += there
        known = np.where(there, values, self._mean)
        change = known - self._mean
        self._mean += np.divide(change, self.count, out=np.zeros_like(change), where=there)
        self._squares += change * (known - self._mean)
        self._least = np.where(there, np.minimum(self._least, values), self._least)
        self._most = np.where(there, np.maximum(self._most, values), self._most)

    def result(self, statistic: str, minimum_dates: int) -> np.ndarray:
        """Return a statistic, NaN where there are fewer than `minimum_dates` dates."""
        enough = (self.dates >= max(1, minimum_dates)) & (self.count > 0)
        if statistic == "sd":
            values = np.sqrt(np.maximum(self._squares, 0) / np.maximum(self.count, 1))
        else:
            values = {"min": self._least, "mean": self._mean, "max": self._most}[statistic]
        return np.where(enough, values, np.nan)


def temporal_statistics(
    inputs: Sequence[RasterInput],
    statistics: Sequence[str],
    output: str | Path,
    *,
    minimum_dates: int = 10,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Write minimum, mean, maximum and standard deviation over time of each covariate.

    One pass over the rasters, block by block, in constant memory.

    Parameters
    ----------
    inputs : sequence of RasterInput
        Rasters of one grid; bands of the same name form a series. Rasters without a date count
        as a day each.
    statistics : sequence of {"min", "mean", "max", "sd"}
        The bands written are named ``VV_min`` … in this order, series by series.
    output : path
        The ``.tif``.
    minimum_dates : int
        A cell with fewer dates is missing.
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
    _check_statistics(inputs, statistics)
    infos = [
        describe_raster(
            item.path,
            fallback_date=item.fallback_date,
            fallback_end=item.fallback_end,
            progress=progress,
        )
        for item in inputs
    ]
    grid = _common_grid(infos)
    series = _series(infos)
    _report_series(series, minimum_dates, progress)
    bands = tuple(f"{name}_{statistic}" for name in series for statistic in statistics)
    filled = 0
    windows = grid.windows(_BLOCK)
    with RasterWriter(output, grid, bands) as writer, _Files(progress) as files:
        for done, window in enumerate(windows):
            part = progress.part(done / len(windows), (done + 1) / len(windows))
            block = np.concatenate(
                [
                    _block(layers, window, statistics, minimum_dates, files, part)
                    for layers in series.values()
                ]
            )
            filled += int(np.isfinite(block).any(axis=0).sum())
            writer.write(window, block)
            progress.step((done + 1) / len(windows))
    if not filled:
        progress.warn(
            f"No cell has {minimum_dates} dates: every value is missing. Give more rasters or "
            "lower the smallest number of dates."
        )
    return bands


class _Files:
    """Open rasters, the most recently used ones, so that long series need no more handles."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._open: OrderedDict[Path, RasterReader] = OrderedDict()
        self._warned: set[str] = set()

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *details: object) -> None:
        with contextlib.ExitStack() as stack:
            for reader in self._open.values():
                stack.callback(reader.__exit__, None, None, None)
            self._open.clear()

    def read(self, layer: _Layer, window: Window) -> np.ndarray:
        reader = self._open.pop(layer.path, None)
        if reader is None:
            if len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1].__exit__(None, None, None)
            reader = RasterReader(layer.path, progress=_Once(self._progress, self._warned))
        self._open[layer.path] = reader
        return reader.read([layer.band], window)[0]


class _Once(Progress):
    """Passes every warning on once: files that are opened again warn again."""

    def __init__(self, passed_to: Progress, said: set[str]) -> None:
        self._passed_to = passed_to
        self._said = said

    @property
    def cancelled(self) -> bool:
        return self._passed_to.cancelled

    def warn(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._passed_to.warn(text)


def _block(
    layers: Sequence[_Layer],
    window: Window,
    statistics: Sequence[str],
    minimum_dates: int,
    files: _Files,
    progress: Progress,
) -> np.ndarray:
    running = RunningStatistics((window.height, window.width))
    day: date | None = None
    for layer in layers:
        progress.check()
        running.add(files.read(layer, window), new_date=layer.day is None or layer.day != day)
        day = layer.day
    return np.stack([running.result(statistic, minimum_dates) for statistic in statistics])


def _check_statistics(inputs: Sequence[RasterInput], statistics: Sequence[str]) -> None:
    if not inputs:
        raise InputError("No raster is given.", "Add the rasters of the series.")
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown or not statistics:
        raise InputError(
            f"The statistics '{';'.join(statistics)}' cannot be computed.",
            f"Choose from {', '.join(STATISTICS)}.",
        )


def _common_grid(infos: Sequence[RasterInfo]) -> Grid:
    first = infos[0]
    for info in infos[1:]:
        if not info.grid.matches(first.grid):
            raise RasterError(
                f"The rasters are not on one grid: '{first.path.name}' has "
                f"{first.grid.describe()}, '{info.path.name}' has {info.grid.describe()}.",
                "Bring them to one grid first (Warp, with the same extent and resolution).",
            )
    return first.grid


def _series(infos: Sequence[RasterInfo]) -> dict[str, list[_Layer]]:
    """Return the layers of each name in the order of their dates; undated ones come first."""
    series: dict[str, list[_Layer]] = {}
    for info in infos:
        for band in info.bands:
            layer = _Layer(info.path, band.index, band.date)
            series.setdefault(band.name, []).append(layer)
    for layers in series.values():
        layers.sort(key=lambda layer: layer.day or date.min)
    return series


def _report_series(
    series: dict[str, list[_Layer]], minimum_dates: int, progress: Progress
) -> None:
    for name, layers in series.items():
        days = {layer.day for layer in layers if layer.day is not None}
        undated = sum(layer.day is None for layer in layers)
        progress.info(f"{name}: {len(layers)} rasters on {len(days) + undated} dates.")
        if len(days) + undated < minimum_dates:
            progress.warn(
                f"{name} has {len(days) + undated} dates, fewer than the {minimum_dates} that a "
                "cell needs: its statistics are missing everywhere."
            )
