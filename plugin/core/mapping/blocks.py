"""Predicting a map block by block: what one block holds, and threads that share the blocks."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence, TypeVar

import numpy as np

from ..covariates.table import CovariateTable
from ..errors import Cancelled
from ..models.record import Model, predict_model
from ..progress import Progress
from ..rasters.grids import Grid, Window
from ..rasters.warping import CovariateReader, Source
from ..rasters.workers import results_in_order
from ..rasters.writing import BYTE_NODATA, rasterize_mask
from .days import DayPlan

FULL_MODEL, FALLBACK_MODEL, FIRST_MISSING = 0, 1, 10
_LAST_CODE = BYTE_NODATA - 1
_ROWS_AT_ONCE = 4096  # pixels predicted between two looks at the cancel button
_POLL_SECONDS = 0.2
_SQUARE = 8

Result = TypeVar("Result")


@dataclass
class Tally:
    """Counts and sums over the pixels of a block, or of a map."""

    cells: int = 0
    predicted: int = 0
    total: float = 0.0
    squares: float = 0.0
    fallback: int = 0
    outside_range: dict[str, int] = field(default_factory=dict)
    first_missing: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Take in another block."""
        self.cells += other.cells
        self.predicted += other.predicted
        self.total += other.total
        self.squares += other.squares
        self.fallback += other.fallback
        for mine, its in (
            (self.outside_range, other.outside_range),
            (self.first_missing, other.first_missing),
        ):
            for name, count in its.items():
                mine[name] = mine.get(name, 0) + count

    @property
    def coverage(self) -> float:
        """Share of the cells with a value."""
        return self.predicted / self.cells if self.cells else 0.0

    @property
    def mean(self) -> float:
        """Mean over the cells with a value; NaN without any."""
        return self.total / self.predicted if self.predicted else float("nan")

    @property
    def sd(self) -> float:
        """Standard deviation over the cells with a value; NaN without any."""
        if not self.predicted:
            return float("nan")
        return float(np.sqrt(max(0.0, self.squares / self.predicted - self.mean**2)))


@dataclass(frozen=True)
class Block:
    """A predicted block: float32 bands with NaN, byte reasons, and what was counted."""

    bands: np.ndarray
    reason: np.ndarray
    tally: Tally


class StackReader:
    """Reads the covariates of several days: static ones once a block, dated ones once a raster.

    A context manager; safe to use from several threads.
    """

    def __init__(
        self,
        table: CovariateTable,
        plans: Sequence[DayPlan],
        grid: Grid,
        progress: Progress,
    ) -> None:
        self.names = tuple(plans[0].rows)
        self._position = {name: index for index, name in enumerate(self.names)}
        self._plans = plans
        self._several = len(plans) > 1
        self._static: CovariateReader | None = None
        self._dated: dict[Path, CovariateReader] = {}
        self._of_day: dict[date, dict[Path, list[Source]]] = {}
        try:
            self._open(table, grid, progress)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> StackReader:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    @property
    def outside(self) -> dict[str, int]:
        """Covariates whose rasters do not touch the grid, with the number of such rasters."""
        counts: dict[str, int] = {}
        readers = [self._static] if self._static else []
        for reader in [*readers, *self._dated.values()]:
            for name in reader.outside:
                counts[name] = counts.get(name, 0) + 1
        return counts

    def close(self) -> None:
        """Close every raster; no thread may be reading."""
        if self._static is not None:
            self._static.close()
        for reader in self._dated.values():
            reader.close()

    def blocks(self, window: Window) -> Iterator[np.ndarray]:
        """Yield, day by day, the covariates of a window: float32 (names, rows, columns)."""
        stack = np.full((len(self.names), window.height, window.width), np.nan, np.float32)
        if self._static is not None:
            static = self._static.read(window)
            for source, values in zip(self._static.sources, static):
                stack[self._position[source.covariate]] = values
        kept: dict[Path, dict[Source, np.ndarray]] = {}
        for plan in self._plans:
            asked = self._of_day[plan.day]
            kept = {path: values for path, values in kept.items() if path in asked}
            day = stack.copy() if self._several else stack
            for path, sources in asked.items():
                if path not in kept:
                    kept[path] = self._read_dated(path, window)
                for source in sources:
                    day[self._position[source.covariate]] = kept[path][source]
            yield day

    def _read_dated(self, path: Path, window: Window) -> dict[Source, np.ndarray]:
        reader = self._dated[path]
        values = dict(zip(reader.sources, reader.read(window)))
        if self._several:
            reader.release()
        return values

    def _open(self, table: CovariateTable, grid: Grid, progress: Progress) -> None:
        static: dict[Source, None] = {}
        dated: dict[Path, dict[Source, None]] = {}
        for plan in self._plans:
            asked = self._of_day.setdefault(plan.day, {})
            for name, row in plan.rows.items():
                if row is None:
                    continue
                path = table.path_of(row)
                source = Source(name, path, row.band, row.resampling)
                if row.is_static:
                    static[source] = None
                else:
                    dated.setdefault(path, {})[source] = None
                    asked.setdefault(path, []).append(source)
        if static:
            self._static = CovariateReader(list(static), grid, progress)
        for path, sources in dated.items():
            progress.check()
            self._dated[path] = CovariateReader(list(sources), grid, progress)


def predict_block(
    stack: np.ndarray,
    names: Sequence[str],
    inside: np.ndarray,
    model: Model,
    fallback: Model | None,
    quantiles: Sequence[float],
    stop: threading.Event,
) -> Block:
    """Predict a block: the model where it can, else the fallback, else missing.

    Parameters
    ----------
    stack : float32 array, shape (names, rows, columns)
        Covariates, NaN for missing.
    names : sequence of str
        Their names.
    inside : bool array, shape (rows, columns)
        Which cells are asked for.
    model, fallback : Model
        The fallback may be None.
    quantiles : sequence of float
        Levels of the bands behind mean and standard deviation.
    stop : threading.Event
        Ends the work between two portions of cells.
    """
    position = {name: index for index, name in enumerate(names)}
    flat = stack.reshape(len(names), -1)
    wanted = inside.reshape(-1)
    bands = np.full((2 + len(quantiles), wanted.size), np.nan, dtype=np.float32)
    reason = np.full(wanted.size, BYTE_NODATA, dtype=np.uint8)
    tally = Tally(cells=int(wanted.sum()))
    covariates = flat[[position[name] for name in model.names]]
    there = np.isfinite(covariates)
    full = wanted & there.all(axis=0)
    rest = wanted & ~full
    first = np.argmin(there, axis=0)
    reason[rest] = np.minimum(FIRST_MISSING + first[rest], _LAST_CODE)
    jobs = [(model, covariates, full, FULL_MODEL)]
    if fallback is not None and rest.any():
        second = flat[[position[name] for name in fallback.names]]
        jobs.append((fallback, second, rest & np.isfinite(second).all(axis=0), FALLBACK_MODEL))
    for used, values, cells, code in jobs:
        order = _tile_order(inside.shape)
        members = order[cells[order]]
        reason[members] = code
        for start in range(0, members.size, _ROWS_AT_ONCE):
            if stop.is_set():
                raise Cancelled
            some = members[start : start + _ROWS_AT_ONCE]
            rows = np.ascontiguousarray(values[:, some].T)
            found = predict_model(used, rows, quantiles)
            bands[0, some], bands[1, some] = found.mean, found.sd
            if len(quantiles):
                bands[2:, some] = found.quantiles.T
            _count_outside(used, rows, tally)
    missing, counts = np.unique(reason[(reason >= FIRST_MISSING) & wanted], return_counts=True)
    for code, count in zip(missing, counts):
        index = min(int(code) - FIRST_MISSING, len(model.names) - 1)
        tally.first_missing[model.names[index]] = int(count)
    tally.fallback = int((reason == FALLBACK_MODEL).sum())
    mean = bands[0][np.isfinite(bands[0])].astype(np.float64)
    tally.predicted, tally.total = mean.size, float(mean.sum())
    tally.squares = float((mean**2).sum())
    shape = inside.shape
    return Block(bands.reshape(-1, *shape), reason.reshape(shape), tally)


@lru_cache(maxsize=8)
def _tile_order(shape: tuple[int, int]) -> np.ndarray:
    """Return the cells of a block square by square: neighbours fall into the same leaves."""
    rows, cols = np.indices(shape) // _SQUARE
    return np.argsort((rows * shape[1] + cols).reshape(-1), kind="stable")


def _count_outside(model: Model, rows: np.ndarray, tally: Tally) -> None:
    """Count the values outside the range that each covariate had in the training rows."""
    low = np.array([c.minimum for c in model.covariates], dtype=np.float32)
    high = np.array([c.maximum for c in model.covariates], dtype=np.float32)
    counts = ((rows < low) | (rows > high)).sum(axis=0)
    for covariate, count in zip(model.covariates, counts):
        if count:
            known = tally.outside_range.get(covariate.name, 0)
            tally.outside_range[covariate.name] = known + int(count)


def inside_mask(mask: Sequence[dict[str, Any]] | None, grid: Grid, window: Window) -> np.ndarray:
    """Return which cells of a window are asked for: all without a mask."""
    if mask is None:
        return np.ones((window.height, window.width), dtype=bool)
    return rasterize_mask(mask, grid, window)


class Turns:
    """Lets the blocks of a run write to each file in the order of the windows.

    Threads finish in any order; written in this one, a map has the same bytes in every run.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        self._place = {window: place for place, window in enumerate(windows)}
        self._written: dict[int, int] = defaultdict(int)
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, file: int, window: Window, stop: threading.Event) -> Iterator[None]:
        """Wait until every earlier block is written to a file, given by its number."""
        with self._changed:
            while self._written[file] < self._place[window]:
                if stop.is_set():
                    raise Cancelled
                self._changed.wait(_POLL_SECONDS)
        yield
        with self._changed:
            self._written[file] += 1
            self._changed.notify_all()


def run_blocks(
    work: Callable[[Window, threading.Event], Result],
    windows: Sequence[Window],
    threads: int,
    progress: Progress,
) -> list[Result]:
    """Do the work of each window in threads, report it, and return the results in their order.

    `work` is told to stop by an event, as in `results_in_order`.
    """
    results: list[Result] = []
    with contextlib.closing(results_in_order(work, windows, threads, progress)) as found:
        for result in found:
            results.append(result)
            progress.step(len(results) / len(windows))
    return results
