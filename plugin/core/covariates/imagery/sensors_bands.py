"""Bands of satellite products as they lie on disk: names, day, stored numbers and samples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Collection, Iterator, Sequence

import numpy as np

from ...progress import Progress
from ...rasters.grids import Grid, Window
from ...rasters.names import date_in_description, date_in_name
from ...rasters.reading import RasterInfo, RasterReader, describe_raster
from ..table import RasterInput

_INTEGERS = ("int", "uint")
_ENOUGH = 20_000  # cells with a value that a sample needs
_SAMPLED = 256  # edge of the windows a sample is read in
_MOST = 64  # windows, unless all of them are empty
# AppEEARS writes year, day of the year and time as one run: doy2021097000000
_DAY_AND_TIME = re.compile(r"doy(\d{7})\d{6}(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class ProductBand:
    """A band of a product.

    Parameters
    ----------
    path : Path
    index : int
        From 1.
    names : tuple of str
        What may tell the band: its description; where it is the only one, the file name too.
    day : date or None
    grid : Grid
    dtype : str
    scale, offset : float
        As the file declares them; 1 and 0 where it does not.
    has_nodata : bool
        Whether the file declares nodata.
    """

    path: Path
    index: int
    names: tuple[str, ...]
    day: date | None
    grid: Grid
    dtype: str
    scale: float
    offset: float
    has_nodata: bool

    @property
    def is_integer(self) -> bool:
        """Whether whole numbers are stored."""
        return self.dtype.startswith(_INTEGERS)

    @property
    def declares_scale(self) -> bool:
        """Whether the file says how stored numbers become values."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def label(self) -> str:
        """What messages call the band."""
        if len(self.names) > 1:
            return f"'{self.path.name}'"
        return f"band {self.names[0]} of '{self.path.name}'"


@dataclass(frozen=True)
class Scaling:
    """Value = stored number × scale + offset; the stored whole numbers `fills` are missing.

    `origin` says where the factors come from.
    """

    scale: float = 1.0
    offset: float = 0.0
    fills: tuple[float, ...] = ()
    origin: str = ""

    def describe(self) -> str:
        """Say the factors and where they come from."""
        if (self.scale, self.offset) == (1.0, 0.0):
            return self.origin
        sign = "−" if self.offset < 0 else "+"
        shift = f" {sign} {abs(self.offset):.7g}" if self.offset else ""
        return f"stored number × {self.scale:.7g}{shift} ({self.origin})"

    def apply(self, values: np.ndarray, band: ProductBand) -> np.ndarray:
        """Turn what a reader gives, which applies what the file declares, into values.

        The file's own factors are taken back first, never applied twice.
        """
        stored = stored_numbers(values, band)
        missing = np.zeros(values.shape, dtype=bool)
        for fill in self.fills:
            missing |= np.abs(stored - fill) < 0.5
        if (self.scale, self.offset) == (band.scale, band.offset):
            result = np.array(values, dtype=np.float64)
        else:
            result = stored * self.scale + self.offset
        result[missing] = np.nan
        return result


def stored_numbers(values: np.ndarray, band: ProductBand) -> np.ndarray:
    """Take back a file's scale and offset; whole numbers are whole to rounding."""
    if not band.declares_scale:
        return np.asarray(values, dtype=np.float64)
    return np.asarray((values - band.offset) / band.scale)


def describe_bands(
    inputs: Sequence[RasterInput], progress: Progress, *, dated: bool = True
) -> list[ProductBand]:
    """Describe every band of the rasters, in their order.

    The day is that of the raster (see `describe_raster`); a band of several whose description
    holds a date, as Earth Engine's stacks have, shows that day.
    """
    bands: list[ProductBand] = []
    for done, item in enumerate(inputs):
        progress.step(done / len(inputs))
        info = describe_raster(
            item.path,
            fallback_date=item.fallback_date,
            fallback_end=item.fallback_end,
            dated=dated,
            progress=progress,
        )
        bands += _bands_of(info, dated)
    return bands


def sample(band: ProductBand, progress: Progress) -> np.ndarray:
    """Return some tens of thousands of stored numbers from all over a band, without missing.

    The same cells at every call; fewer, or none, where most of the band is missing.
    """
    found: list[np.ndarray] = []
    count = 0
    with RasterReader(band.path, count_all=False) as reader:
        for window in _spread(band.grid):
            progress.check()
            values = reader.read([band.index], window)[0]
            stored = stored_numbers(values[np.isfinite(values)], band)
            found.append(stored)
            count += stored.size
            if len(found) >= 4 and (count >= _ENOUGH or (count and len(found) >= _MOST)):
                break
    return np.concatenate(found)


def describe_days(days: Collection[date]) -> str:
    """Say one day, or how many there are and the first and the last."""
    first, last = min(days), max(days)
    return f"{first}" if len(days) == 1 else f"{len(days)} dates, {first} to {last}"


def _bands_of(info: RasterInfo, dated: bool) -> Iterator[ProductBand]:
    for band in info.bands:
        day = band.date
        stem = info.path.stem
        if dated and len(info.bands) > 1 and date_in_description(band.name) is None:
            day = date_in_name(band.name)[0] or day
        if dated and day is None:
            found = _DAY_AND_TIME.search(stem)
            day = date_in_name(found[1])[0] if found else None
        names = (band.name, stem) if len(info.bands) == 1 else (band.name,)
        yield ProductBand(
            info.path,
            band.index,
            names,
            day,
            info.grid,
            band.dtype,
            band.scale,
            band.offset,
            band.nodata is not None,
        )


def _spread(grid: Grid) -> Iterator[Window]:
    """Yield windows that cover a grid, first from its middle and then from all over it."""
    windows = grid.windows(_SAMPLED)
    middle = len(windows) // 2
    step = max(1, round(len(windows) * 0.618))
    while np.gcd(step, len(windows)) != 1:
        step += 1
    for turn in range(len(windows)):
        yield windows[(middle + turn * step) % len(windows)]
