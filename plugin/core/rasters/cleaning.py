"""GDAL virtual rasters that show bands as values: scaled, float64, NaN where missing.

Resampling must see missing cells as missing and values as values, or a nodata mark blends into
its neighbours. GDAL does it where the source is wrapped in virtual rasters, one level for each
kind of missing cell.
"""

from __future__ import annotations

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
    """A band of a file and the elements that take its missing cells out, level by level."""

    path: Path
    band: int
    dtype: str
    steps: tuple[str, ...]


def clean_band(
    path: Path, band: int, window: Window | None, progress: Progress | None = None
) -> CleanBand:
    """Find out what marks missing cells in a band, within the cells that will be read."""
    with open_raster(path) as dataset:
        marks = count_marks(dataset, band, window, progress)
        warn_of_marks(dataset, band, marks, progress or Progress())
        return CleanBand(
            path, band, str(dataset.dtypes[band - 1]), tuple(_steps(dataset, band, marks))
        )


def _steps(dataset: Any, band: int, marks: dict[float, int]) -> list[str]:
    steps = ["<UseMaskBand>true</UseMaskBand>"] if has_mask(dataset, band) else []
    nodata = nodata_value(dataset, band)
    missing = [f"{value:.17g}" for value in ([nodata] if nodata is not None else sorted(marks))]
    if not str(dataset.dtypes[band - 1]).startswith(_INTEGERS):
        missing += ["inf", "-inf"]
    steps += [f"<NODATA>{value}</NODATA>" for value in missing if value != "nan"]
    scale, offset = scale_and_offset(dataset, band)
    if (scale, offset) != (1.0, 0.0):
        # Never on the first level: there GDAL may compute in single precision.
        steps = steps or [""]
        steps.append(
            f"<ScaleOffset>{offset:.17g}</ScaleOffset><ScaleRatio>{scale:.17g}</ScaleRatio>"
        )
    return steps or [""]


class CleanRaster:
    """Several bands of one grid as one virtual raster in memory.

    Give :attr:`name` to rasterio; every thread opens its own handle. Close it when no handle is
    open any more.
    """

    def __init__(self, bands: Sequence[CleanBand], grid: Grid) -> None:
        self._files: list[MemoryFile] = []
        depth = max(len(band.steps) for band in bands)
        below = ""
        for level in range(depth):
            text = _document(bands, grid, level, below)
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


def _document(bands: Sequence[CleanBand], grid: Grid, level: int, below: str) -> str:
    t = grid.transform
    rows = [
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">',
        f"<SRS>{escape(parse_crs(grid.crs).to_wkt())}</SRS>",
        f"<GeoTransform>{t.c!r},{t.a!r},{t.b!r},{t.f!r},{t.d!r},{t.e!r}</GeoTransform>",
    ]
    for index, band in enumerate(bands, start=1):
        step = band.steps[level] if level < len(band.steps) else ""
        file, number = (below, index) if level else (str(band.path), band.band)
        rows.append(
            f'<VRTRasterBand dataType="Float64" band="{index}"><NoDataValue>nan</NoDataValue>'
            f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(file)}</SourceFilename>'
            f"<SourceBand>{number}</SourceBand>{step}</ComplexSource></VRTRasterBand>"
        )
    rows.append("</VRTDataset>")
    return "".join(rows)
