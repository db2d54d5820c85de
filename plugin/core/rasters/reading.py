"""Rasters as they lie on disk: their bands, dates and values, with missing cells as NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Iterator, Sequence

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags

from ..errors import RasterError
from ..progress import Progress
from .grids import GDAL_ERRORS, Grid, Window, crs_text
from .names import covariate_name, date_in_description, date_in_name, date_in_tag, is_nameless
from .paths import check_local_path, refuse_remote_sources

Day = date  # within BandInfo `date` is a field

_STRIP_CELLS = 4_000_000  # cells read at a time when a band is searched

# What programs write for "no value" without declaring it.
_SENTINELS = (-9999.0, -32768.0)
_HUGE = (3.39e38, 3.41e38)
_SMALL_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "bool")


@dataclass(frozen=True)
class BandInfo:
    """One band of a raster.

    `date` and `end` are None for a band without date; `end` is later than `date` only where the
    date comes from the layer's temporal range. `index` counts from 1.
    """

    index: int
    name: str
    date: Day | None
    end: Day | None
    units: str
    nodata: float | None
    scale: float
    offset: float
    dtype: str
    masked: bool


@dataclass(frozen=True)
class RasterInfo:
    """A raster's path, grid and bands (alpha bands are left out: they are masks)."""

    path: Path
    grid: Grid
    bands: tuple[BandInfo, ...]

    def band(self, index: int) -> BandInfo:
        """Return the band with an index counted from 1."""
        for band in self.bands:
            if band.index == index:
                return band
        raise RasterError(
            f"The raster '{self.path}' has no band {index} with values.",
            f"It has {', '.join(str(band.index) for band in self.bands)}.",
        )


def open_raster(path: str | Path) -> Any:
    """Open a local raster with rasterio, or say why not."""
    local = check_local_path(path)
    refuse_remote_sources(local)
    try:
        return rasterio.open(str(local))
    except GDAL_ERRORS as error:
        raise RasterError(
            f"'{local}' cannot be read as a raster ({error}).", "Check that QGIS can show it."
        ) from error


def grid_of(dataset: Any) -> Grid:
    """Return the grid of an open dataset."""
    if dataset.crs is None:
        raise RasterError(
            f"The raster '{dataset.name}' has no coordinate reference system.",
            "Assign one (Raster, Projections, Assign Projection).",
        )
    return Grid(crs_text(dataset.crs), dataset.transform, dataset.width, dataset.height)


def geometry(path: str | Path) -> Grid:
    """Return the grid of a raster whose values do not matter."""
    with open_raster(path) as dataset:
        return grid_of(dataset)


def describe_raster(
    path: str | Path,
    *,
    fallback_date: date | None = None,
    fallback_end: date | None = None,
    dated: bool = True,
    progress: Progress | None = None,
) -> RasterInfo:
    """Read a raster's grid and the names, dates and units of its bands.

    Parameters
    ----------
    path : str or Path
        A local file.
    fallback_date, fallback_end : date, optional
        The layer's fixed temporal range, used where neither description, name nor tag holds a
        date.
    dated : bool
        Whether to look for dates at all; static rasters have none.
    progress : Progress, optional
        Hears of a file name and a tag that disagree.

    Raises
    ------
    RasterError
        Where the file cannot be read, has several bands and one without name, or has no
        coordinate reference system.
    """
    progress = progress or Progress()
    with open_raster(path) as dataset:
        grid = grid_of(dataset)
        local = check_local_path(path)
        indexes = _value_bands(dataset)
        _refuse_nameless(dataset, local, indexes)
        found = _raster_date(dataset, local, progress) if dated else None
        start, end = (found, found) if found else (fallback_date, fallback_end or fallback_date)
        bands = []
        for index in indexes:
            own = date_in_description(dataset.descriptions[index - 1]) if dated else None
            days = ((own, own) if own else (start, end)) if dated else (None, None)
            bands.append(_describe_band(dataset, local, index, days))
    return RasterInfo(local, grid, tuple(bands))


def read_band(
    path: str | Path,
    band: int,
    window: Window | None = None,
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Read one band, or a window of it, as float64 with NaN for missing.

    Scale and offset are applied. Missing are declared nodata, NaN, infinite and masked cells, in
    a band without declared nodata also −9999, −32768 and ±3.4e38: those are counted, and
    `progress` is warned.
    """
    with RasterReader(path, progress=progress) as reader:
        return reader.read([band], window)[0]


class RasterReader:
    """An open raster that is read band by band, window by window, with missing cells as NaN.

    A context manager. Cells without declared nodata that hold a usual missing mark are counted
    once over the whole band, at its first use, and `progress` is warned.

    Parameters
    ----------
    path : str or Path
        A local file.
    progress : Progress, optional
        Hears of undeclared missing marks.
    count_all : bool
        False counts the marks only in what is read, and warns at the end: for readers of a few
        points of a large raster.
    """

    def __init__(
        self, path: str | Path, *, progress: Progress | None = None, count_all: bool = True
    ) -> None:
        self._progress = progress or Progress()
        self._dataset = open_raster(path)
        self._count_all = count_all
        self._marks: dict[int, dict[float, int]] = {}
        self.path = check_local_path(path)
        self.bands = _value_bands(self._dataset)

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._count_all and kind is None:
            for band, counts in self._marks.items():
                warn_of_marks(self._dataset, band, counts, self._progress)
        self._dataset.close()

    @property
    def grid(self) -> Grid:
        """The raster's cells."""
        return grid_of(self._dataset)

    def read(self, bands: Sequence[int], window: Window | None = None) -> np.ndarray:
        """Read bands (counted from 1) as float64, shape (bands, rows, columns), NaN missing.

        A window may reach beyond the raster; cells outside are missing.
        """
        window = window or Window(0, 0, self._dataset.width, self._dataset.height)
        values = np.full((len(bands), window.height, window.width), np.nan)
        inside = window.overlap(Window(0, 0, self._dataset.width, self._dataset.height))
        if inside is None:
            return values
        rows, cols = inside.shifted(-window.col, -window.row).slices
        for position, band in enumerate(bands):
            self._check_band(band)
            if self._count_all and band not in self._marks:
                self._marks[band] = count_marks(self._dataset, band, None, self._progress)
                warn_of_marks(self._dataset, band, self._marks[band], self._progress)
            counts = None if self._count_all else self._marks.setdefault(band, {})
            values[position, rows, cols] = _clean(self._dataset, band, inside, counts)
        return values

    def _check_band(self, band: int) -> None:
        if band not in self.bands:
            raise RasterError(
                f"The raster '{self.path}' has no band {band} with values.",
                f"It has {', '.join(map(str, self.bands))}.",
            )


def has_declared_nodata(dataset: Any, band: int) -> bool:
    """Whether a band declares which value means missing."""
    return dataset.nodatavals[band - 1] is not None


def has_mask(dataset: Any, band: int) -> bool:
    """Whether a band's missing cells are marked by a mask or an alpha band."""
    flags = dataset.mask_flag_enums[band - 1]
    return MaskFlags.per_dataset in flags or MaskFlags.alpha in flags or not flags


def nodata_value(dataset: Any, band: int) -> float | None:
    """Return a band's declared nodata as its cells hold it (rounded to the band's type)."""
    nodata = dataset.nodatavals[band - 1]
    if nodata is None:
        return None
    if dataset.dtypes[band - 1] == "float32" and math.isfinite(nodata):
        with np.errstate(over="ignore"):
            single = float(np.float32(nodata))
        limit = float(np.finfo(np.float32).max)
        return max(-limit, min(limit, single))
    return float(nodata)


def count_marks(
    dataset: Any,
    band: int,
    window: Window | None = None,
    progress: Progress | None = None,
) -> dict[float, int]:
    """Count the cells of a band without declared nodata that hold a usual missing mark.

    Returns
    -------
    dict
        Raw value → number of cells; empty where the band declares nodata.
    """
    counts: dict[float, int] = {}
    if has_declared_nodata(dataset, band) or dataset.dtypes[band - 1] in _SMALL_TYPES:
        return counts
    window = window or Window(0, 0, dataset.width, dataset.height)
    for strip in _strips(dataset, window):
        if progress is not None:
            progress.check()
        raw = _read_raw(dataset, band, strip)
        _add_marks(raw, _marked(raw), counts)
    return counts


def warn_of_marks(dataset: Any, band: int, counts: dict[float, int], progress: Progress) -> None:
    """Warn of undeclared missing marks, by band and count."""
    if not counts:
        return
    name = dataset.descriptions[band - 1]
    found = ", ".join(f"{count} × {value:g}" for value, count in sorted(counts.items()))
    progress.warn(
        f"Band {band}{f' ({name})' if name else ''} of '{dataset.name}' declares no nodata but "
        f"holds {found}: counted as missing. Set the raster's nodata value to be sure."
    )


def _clean(dataset: Any, band: int, window: Window, counts: dict[float, int] | None) -> np.ndarray:
    """Read a window inside the raster: raw × scale + offset, NaN missing."""
    raw = _read_raw(dataset, band, window)
    nodata = nodata_value(dataset, band)
    missing = ~np.isfinite(raw)
    if nodata is not None:
        missing |= raw == nodata
    elif dataset.dtypes[band - 1] not in _SMALL_TYPES:
        marked = _marked(raw)
        if counts is not None:
            _add_marks(raw, marked, counts)
        missing |= marked
    if has_mask(dataset, band):
        missing |= _rasterio_read(dataset.read_masks, dataset, band, window) == 0
    raw[missing] = np.nan
    scale, offset = scale_and_offset(dataset, band)
    return raw if (scale, offset) == (1.0, 0.0) else raw * scale + offset


def scale_and_offset(dataset: Any, band: int) -> tuple[float, float]:
    """Return the factors that turn a band's raw numbers into values."""
    scale, offset = float(dataset.scales[band - 1]), float(dataset.offsets[band - 1])
    if not math.isfinite(scale) or not math.isfinite(offset) or scale == 0:
        raise RasterError(
            f"Band {band} of '{dataset.name}' declares scale {scale:g} and offset {offset:g}.",
            "Put them right in the raster (gdal_edit.py -scale … -offset …).",
        )
    return scale, offset


def _marked(raw: np.ndarray) -> np.ndarray:
    size = np.abs(raw)
    found = (size >= _HUGE[0]) & (size <= _HUGE[1])
    for sentinel in _SENTINELS:
        found |= raw == sentinel
    return np.asarray(found)


def _add_marks(raw: np.ndarray, marked: np.ndarray, counts: dict[float, int]) -> None:
    if marked.any():
        for value, count in zip(*np.unique(raw[marked], return_counts=True)):
            counts[float(value)] = counts.get(float(value), 0) + int(count)


def _read_raw(dataset: Any, band: int, window: Window) -> np.ndarray:
    return _rasterio_read(dataset.read, dataset, band, window).astype(np.float64)


def _rasterio_read(read: Any, dataset: Any, band: int, window: Window) -> np.ndarray:
    place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
    try:
        return np.asarray(read(band, window=place))
    except GDAL_ERRORS as error:
        raise RasterError(
            f"Band {band} of '{dataset.name}' cannot be read ({error}).",
            "The file may be damaged or cut short.",
        ) from error


def _strips(dataset: Any, window: Window) -> Iterator[Window]:
    """Cut a window into strips of whole block rows that fit the memory."""
    block = int(dataset.block_shapes[0][0])
    rows = max(1, _STRIP_CELLS // max(1, window.width) // block) * block
    for row in range(window.row, window.row + window.height, rows):
        height = min(rows, window.row + window.height - row)
        yield Window(window.col, row, window.width, height)


def _value_bands(dataset: Any) -> tuple[int, ...]:
    """Return the indexes of the bands that hold values: all but alpha."""
    return tuple(
        index
        for index, colour in zip(dataset.indexes, dataset.colorinterp)
        if colour != ColorInterp.alpha
    )


def _refuse_nameless(dataset: Any, path: Path, indexes: Sequence[int]) -> None:
    if not indexes:
        raise RasterError(f"The raster '{path}' has no band with values.", "Choose another one.")
    if len(indexes) == 1:
        return
    nameless = [index for index in indexes if is_nameless(dataset.descriptions[index - 1])]
    if nameless:
        raise RasterError(
            f"The raster '{path}' has {len(indexes)} bands, of which "
            f"{', '.join(map(str, nameless))} have no name.",
            "Covariates are matched by name: give each band a description "
            "(in QGIS: Set layer band names; or split the raster into files of one band).",
        )


def _raster_date(dataset: Any, path: Path, progress: Progress) -> date | None:
    """Return the day in the file name, else in the tag."""
    named = date_in_name(path.stem)[0]
    tag = dataset.tags().get("TIFFTAG_DATETIME")
    tagged = date_in_tag(tag)
    if named and tagged and abs((named - tagged).days) > 1:
        progress.warn(
            f"The name of '{path.name}' says {named.isoformat()}, its TIFFTAG_DATETIME says "
            f"{tagged.isoformat()}: the name is used."
        )
    return named or tagged


def _describe_band(
    dataset: Any, path: Path, index: int, days: tuple[date | None, date | None]
) -> BandInfo:
    dtype = str(dataset.dtypes[index - 1])
    if dtype.startswith("complex"):
        raise RasterError(
            f"Band {index} of '{path}' holds complex numbers.", "Convert it to real values."
        )
    scale, offset = scale_and_offset(dataset, index)
    return BandInfo(
        index=index,
        name=covariate_name(dataset.descriptions[index - 1], path.stem),
        date=days[0],
        end=days[1],
        units=dataset.units[index - 1] or "",
        nodata=dataset.nodatavals[index - 1],
        scale=scale,
        offset=offset,
        dtype=dtype,
        masked=has_mask(dataset, index),
    )
