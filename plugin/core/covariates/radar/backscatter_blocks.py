"""Blocks of prepared backscatter: read, masked, averaged, smoothed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import Cancelled, InputError
from ...progress import Progress
from ...rasters.grids import Grid, Window
from ...rasters.reading import RasterReader
from .backscatter_bands import POLARISATIONS
from .backscatter_cells import (
    CellMeans,
    Cover,
    SourceSums,
    axes,
    power_within,
    smooth_cells,
    to_decibels,
    touched_cells,
)
from .backscatter_images import ImageBand
from .backscatter_passes import Pass

PORTION = 250_000  # source cells of a band read at a time: they stay in the processor's cache
_REACH = 1  # of the Gaussian, in cells


@dataclass(frozen=True)
class Preparation:
    """How images are prepared.

    Parameters
    ----------
    decibels : bool
        Whether the images are in dB, else in linear power.
    ranges : tuple
        Lowest and highest valid VV and VH in dB, ends included.
    resolution : float
        Edge of the cells, in units of the images' coordinate reference system.
    smooth : bool
        Whether to smooth with the 3×3 Gaussian.
    least_share : float
        Smallest share of a cell's area that must have values; 0 = any.
    """

    decibels: bool = True
    ranges: tuple[tuple[float, float], tuple[float, float]] = ((-25.0, -5.0), (-30.0, -10.0))
    resolution: float = 100.0
    smooth: bool = True
    least_share: float = 0.0

    def range_of(self, role: str) -> tuple[float, float]:
        """Return the valid range of a polarisation."""
        return self.ranges[POLARISATIONS.index(role)]

    def check(self) -> None:
        """Raise where the settings contradict themselves."""
        for role, (low, high) in zip(POLARISATIONS, self.ranges):
            if not low < high:
                raise InputError(
                    f"{role}_MIN {low:g} is not below {role}_MAX {high:g}.",
                    "Give the lower end of the valid range first.",
                )
        if not 0 <= self.least_share <= 1:
            raise InputError(
                f"MIN_VALID {self.least_share:g} is not between 0 and 1.", "Give for example 0.5."
            )


class Marks:
    """Files in which undeclared missing marks were met; safe in threads."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()

    def listener(self, path: Path) -> Progress:
        """Return a progress that remembers a file when it is warned of."""
        return _Listener(self._paths, path)

    def tell(self, bands: Iterable[ImageBand], progress: Progress) -> None:
        """Count the marks in the bands of these files and warn of them."""
        for path in sorted(self._paths):
            numbers = sorted({band.band for band in bands if band.path == path})
            with RasterReader(path, progress=progress) as reader:
                reader.read(numbers, Window(0, 0, 1, 1))


class _Listener(Progress):
    def __init__(self, paths: set[Path], path: Path) -> None:
        self._paths = paths
        self._path = path

    def warn(self, text: str) -> None:
        self._paths.add(self._path)


@dataclass(frozen=True, eq=False)
class BlockMaker:
    """Makes blocks of the rasters of a series.

    Parameters
    ----------
    preparation : Preparation
    grid : Grid
        The cells of all rasters.
    roles : tuple of str
        The bands.
    factors : dict
        Path and band → factor of its values; see `check_units`.
    marks : Marks
    """

    preparation: Preparation
    grid: Grid
    roles: tuple[str, ...]
    factors: dict[tuple[Path, int], float]
    marks: Marks

    def block(self, one: Pass, window: Window, stop: threading.Event) -> np.ndarray:
        """Return a block of a pass: float64 (roles, rows, columns), dB and degrees.

        Raises
        ------
        Cancelled
            Where `stop` is set meanwhile.
        """
        wide = window.padded(_REACH) if self.preparation.smooth else window
        means = {role: CellMeans((wide.height, wide.width)) for role in self.roles}
        by_path: dict[Path, list[ImageBand]] = {}
        for band in one.bands:
            by_path.setdefault(band.path, []).append(band)
        for path in sorted(by_path):
            self._add_file(by_path[path], wide, means, stop)
        return np.stack([self._finish(role, means[role]) for role in self.roles])

    def _finish(self, role: str, means: CellMeans) -> np.ndarray:
        values = means.result(self.preparation.least_share)
        smooth = self.preparation.smooth
        if role not in POLARISATIONS:
            return values[_REACH:-_REACH, _REACH:-_REACH] if smooth else values
        return to_decibels(smooth_cells(values) if smooth else values)

    def _add_file(
        self,
        bands: list[ImageBand],
        wide: Window,
        means: dict[str, CellMeans],
        stop: threading.Event,
    ) -> None:
        source = bands[0].grid
        place = wide.overlap(touched_cells(source, self.grid))
        if place is None:
            return
        path = bands[0].path
        with RasterReader(path, progress=self.marks.listener(path), count_all=False) as reader:
            for strip in _strips(source, self.grid, place):
                sums = self._sum_up(bands, reader, strip, stop)
                for band, total in zip(bands, sums):
                    means[band.role].add(total, strip.shifted(-wide.col, -wide.row))

    def _sum_up(
        self,
        bands: list[ImageBand],
        reader: RasterReader,
        place: Window,
        stop: threading.Event,
    ) -> list[SourceSums]:
        """Sum bands of a file up over a window of the grid, portion by portion."""
        cover = Cover.of(bands[0].grid, self.grid, place)
        sums = [SourceSums(cover) for _ in bands]
        rows, cols = cover.rows.source, cover.cols.source
        width = cols.stop - cols.start
        step = max(1, 2 * PORTION // width)
        for row in range(rows.start, rows.stop, step):
            if stop.is_set():
                raise Cancelled
            portion = Window(cols.start, row, width, min(step, rows.stop - row))
            values = reader.read([band.band for band in bands], portion)
            for band, own, total in zip(bands, values, sums):
                total.add(*self._valid(band, own), row)
        return sums

    def _valid(self, band: ImageBand, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return power, or angles in degrees, 0 where missing, and what is there."""
        if band.role in POLARISATIONS:
            low, high = self.preparation.range_of(band.role)
            return power_within(values, low, high, decibels=self.preparation.decibels)
        with np.errstate(invalid="ignore"):
            valid = values > 0  # 0 is what programs fill with
        np.copyto(values, 0.0, where=~valid)
        factor = self.factors[band.path, band.band]
        return (values if factor == 1.0 else values * factor), valid


def _strips(source: Grid, target: Grid, place: Window) -> list[Window]:
    """Cut a window into rows of cells that take a portion of the source each."""
    (across, _), (down, _) = axes(source, target)
    rows = max(1, int(PORTION / (place.width * across * down)))
    stop = place.row + place.height
    return [
        Window(place.col, row, place.width, min(rows, stop - row))
        for row in range(place.row, stop, rows)
    ]
