"""GDAL virtual rasters that show bands as values: scaled, float64, NaN where missing.

Resampling must see missing cells as missing and values as values, or a nodata mark blends into
its neighbours. GDAL does it where the source is wrapped in virtual rasters, one level for each
kind of missing cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Sequence

import rasterio
from rasterio.io import MemoryFile

from ..progress import Progress
from .grids import Grid, Window, parse_crs
from .reading import (
    count_marks,
    has_mask,
    nodata_value,
    open_raster,
    scale_and_offset,
    warn_of_marks,
)

_INTEGERS = ("int", "uint", "bool")


@dataclass(frozen=True)
class CleanBand:
    """A band of a file, and what marks its missing cells.

    Attributes
    ----------
    path, band, dtype
        The file, the band's number and type.
    marks : tuple of float
        Raw values that mean missing, beside NaN and infinite ones.
    masked : bool
        Whether a mask or alpha band tells missing cells.
    scale, offset : float
        Value = raw × scale + offset.
    """

    path: Path
    band: int
    dtype: str
    marks: tuple[float, ...]
    masked: bool
    scale: float
    offset: float


def clean_band(
    path: Path, band: int, window: Window | None, progress: Progress | None = None
) -> CleanBand:
    """Find out what marks missing cells in a band, within the cells that will be read."""
    with open_raster(path) as dataset:
        found = count_marks(dataset, band, window, progress)
        warn_of_marks(dataset, band, found, progress or Progress())
        nodata = nodata_value(dataset, band)
        marks = sorted(found) if nodata is None else [nodata]
        return CleanBand(
            path,
            band,
            str(dataset.dtypes[band - 1]),
            tuple(mark for mark in marks if not math.isnan(mark)),
            has_mask(dataset, band),
            *scale_and_offset(dataset, band),
        )


def _steps(band: CleanBand) -> list[str]:
    """Return the elements that take a band's missing cells out, level by level."""
    steps = ["<UseMaskBand>true</UseMaskBand>"] if band.masked else []
    missing = [f"{mark:.17g}" for mark in band.marks]
    if not band.dtype.startswith(_INTEGERS):
        missing += ["inf", "-inf"]
    steps += [f"<NODATA>{mark}</NODATA>" for mark in missing]
    if (band.scale, band.offset) != (1.0, 0.0):
        # Never on the first level: there GDAL may compute in single precision.
        steps = steps or [""]
        steps.append(
            f"<ScaleOffset>{band.offset:.17g}</ScaleOffset>"
            f"<ScaleRatio>{band.scale:.17g}</ScaleRatio>"
        )
    return steps or [""]


class CleanRaster:
    """Several bands of one grid as one virtual raster in memory.

    Give :attr:`name` to rasterio; every thread opens its own handle. Close it when no handle is
    open any more.
    """

    def __init__(self, bands: Sequence[CleanBand], grid: Grid) -> None:
        self._files: list[MemoryFile] = []
        steps = [_steps(band) for band in bands]
        depth = max(map(len, steps))
        below = ""
        for level in range(depth):
            text = _document(bands, steps, grid, level, below)
            self._files.append(MemoryFile(text.encode("utf-8"), ext=".vrt"))
            below = self._files[-1].name
        self.name = below

    def open(self) -> Any:
        """Open a handle: float64 bands in the order given, NaN for missing."""
        return rasterio.open(self.name)

    def close(self) -> None:
        """Free the memory."""
        while self._files:
            self._files.pop().close()


def _document(
    bands: Sequence[CleanBand],
    steps: Sequence[Sequence[str]],
    grid: Grid,
    level: int,
    below: str,
) -> str:
    t = grid.transform
    rows = [
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">',
        f"<SRS>{escape(parse_crs(grid.crs).to_wkt())}</SRS>",
        f"<GeoTransform>{t.c!r},{t.a!r},{t.b!r},{t.f!r},{t.d!r},{t.e!r}</GeoTransform>",
    ]
    for index, (band, own) in enumerate(zip(bands, steps), start=1):
        step = own[level] if level < len(own) else ""
        file, number = (below, index) if level else (str(band.path), band.band)
        rows.append(
            f'<VRTRasterBand dataType="Float64" band="{index}"><NoDataValue>nan</NoDataValue>'
            f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(file)}</SourceFilename>'
            f"<SourceBand>{number}</SourceBand>{step}</ComplexSource></VRTRasterBand>"
        )
    rows.append("</VRTDataset>")
    return "".join(rows)
