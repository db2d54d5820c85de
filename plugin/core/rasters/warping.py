"""Covariates on the grid of a map, whatever grid and reference system they come in.

GDAL's warper gives other values for other blocks unless it is held: here every warp has a tight
tolerance, a fixed ratio of cell sizes, and works on tiles that depend on the map's grid alone.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Sequence

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from ..errors import InputError, RasterError
from ..progress import Progress
from .cells import CellRaster
from .cleaning import CleanRaster, clean_band
from .grids import (
    GDAL_ERRORS,
    Grid,
    Window,
    parse_crs,
    place,
    transform_extent,
    transform_points,
)
from .paths import check_local_path
from .reading import geometry
from .tiles import TILE, copy_overlap, tiles_of

RESAMPLINGS = ("nearest", "bilinear", "cubic", "average")
TOLERANCE = 1e-6  # of a source cell; GDAL refuses 0
_SOURCE_CELLS = 16_000_000  # read at once for a tile of the map
_CACHED_CELLS = 8_000_000  # float32 cells of warped tiles kept for blocks that cut tiles
_MARGIN = 4  # source cells beside the target's edge, in kernel radii


@dataclass(frozen=True)
class Source:
    """A band of a raster that gives a covariate, and how it is resampled."""

    covariate: str
    path: Path
    band: int
    resampling: str = "bilinear"


class CovariateReader:
    """Reads covariates block by block on one grid.

    A context manager; safe to read from several threads. What is read does not depend on the
    blocks it is read in. Where the cells of source and target agree there is no resampling. A
    cell whose centre lies in a missing source cell is missing (not by average); other missing
    source cells lose their weight.

    Parameters
    ----------
    sources : sequence of Source
        One for each covariate, in the order of the arrays returned.
    grid : Grid
        The target.
    progress : Progress, optional
        Hears of undeclared missing marks and of rasters that do not touch the grid.

    Attributes
    ----------
    outside : tuple of str
        Covariates whose raster does not touch the grid: missing everywhere.
    """

    def __init__(
        self, sources: Sequence[Source], grid: Grid, progress: Progress | None = None
    ) -> None:
        self.sources = tuple(sources)
        self.grid = grid
        self.outside: tuple[str, ...] = ()
        self._groups: list[_Group] = []
        progress = progress or Progress()
        try:
            self._prepare(progress)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> CovariateReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every handle; no thread may be reading."""
        while self._groups:
            self._groups.pop().close()

    def release(self) -> None:
        """Close the calling thread's handles; the next read opens them again."""
        for group in self._groups:
            group.release()

    def read(self, window: Window) -> np.ndarray:
        """Return the covariates in a window of the grid.

        Returns
        -------
        float32 array, shape (covariates, rows, columns)
            NaN where missing.
        """
        values = np.full((len(self.sources), window.height, window.width), np.nan, dtype=np.float32)
        for group in self._groups:
            values[group.positions] = group.read(window)
        return values

    def _prepare(self, progress: Progress) -> None:
        together: dict[tuple[Grid, str], list[int]] = {}
        grids: dict[Path, Grid] = {}
        outside = []
        for position, source in enumerate(self.sources):
            if source.resampling not in RESAMPLINGS:
                raise RasterError(
                    f"The resampling '{source.resampling}' of covariate '{source.covariate}' is "
                    "unknown.",
                    f"Use one of {', '.join(RESAMPLINGS)}.",
                )
            path = check_local_path(source.path)
            if path not in grids:
                grids[path] = geometry(path)
            own = grids[path]
            if source_window(own, self.grid) is None:
                outside.append(source.covariate)
                progress.warn(
                    f"The raster '{path}' of covariate '{source.covariate}' does not touch the "
                    f"map: it covers {own.describe()}, the map {self.grid.describe()}."
                )
                continue
            together.setdefault((own, source.resampling), []).append(position)
        self.outside = tuple(outside)
        for (own, resampling), positions in together.items():
            window = source_window(own, self.grid)
            bands = []
            for position in positions:
                progress.check()
                source = self.sources[position]
                path = check_local_path(source.path)
                bands.append(clean_band(path, source.band, window, progress))
            same = self.grid.offset_in(own) is not None
            raster = CellRaster(bands) if same else CleanRaster(bands, own)
            self._groups.append(_Group(raster, own, self.grid, positions, resampling))


class _Group:
    """Bands that share a source grid and a resampling: one virtual raster, one warp."""

    def __init__(
        self,
        raster: CleanRaster | CellRaster,
        source: Grid,
        target: Grid,
        positions: Sequence[int],
        resampling: str,
    ) -> None:
        self.positions = list(positions)
        self._raster = raster
        self._source = source
        self._target = target
        self._resampling = Resampling[resampling]
        self._offset = target.offset_in(source)
        self._scale = cell_ratio(source, target)
        self._edge = _tile_edge(self._scale, len(self.positions))
        self._local = threading.local()
        self._lock = threading.Lock()
        self._handles: list[Any] = []
        self._cache: OrderedDict[Window, np.ndarray] = OrderedDict()

    def read(self, window: Window) -> np.ndarray:
        """Return float32, shape (bands, rows, columns)."""
        values = np.full(
            (len(self.positions), window.height, window.width), np.nan, dtype=np.float32
        )
        try:
            if self._offset is not None:
                self._read_cells(window, values)
            else:
                for tile in tiles_of(self._target, window, self._edge):
                    copy_overlap(self._tile(tile, window), tile, values, window)
        except GDAL_ERRORS as error:
            raise RasterError(
                f"Covariates cannot be read on the map's grid ({error}).",
                "A file may be damaged, or its coordinate reference system wrong.",
            ) from error
        values[~np.isfinite(values)] = np.nan
        return values

    def release(self) -> None:
        handle = getattr(self._local, "handle", None)
        if handle is not None:
            self._local.handle = None
            with self._lock:
                self._handles.remove(handle)
            handle.close()

    def close(self) -> None:
        while self._handles:
            self._handles.pop().close()
        self._local = threading.local()
        self._raster.close()

    def _handle(self) -> Any:
        handle = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._raster.open()
            self._local.handle = handle
            with self._lock:
                self._handles.append(handle)
        return handle

    def _read_cells(self, window: Window, values: np.ndarray) -> None:
        """Copy source cells that are target cells."""
        cols, rows = self._offset or (0, 0)
        wanted = window.shifted(cols, rows)
        inside = wanted.overlap(self._source.whole)
        if inside is not None:
            cells = rasterio.windows.Window(inside.col, inside.row, inside.width, inside.height)
            copy_overlap(self._handle().read(window=cells), inside, values, wanted)

    def _tile(self, tile: Window, window: Window) -> np.ndarray:
        """Return a warped tile, from the cache where the window only cuts it."""
        cut = window.overlap(tile) != tile
        if cut:
            with self._lock:
                kept = self._cache.get(tile)
            if kept is not None:
                return kept
        warped = self._warp(tile)
        if cut:
            with self._lock:
                self._cache[tile] = warped
                while sum(kept.size for kept in self._cache.values()) > _CACHED_CELLS:
                    self._cache.popitem(last=False)
        return warped

    def _warp(self, tile: Window) -> np.ndarray:
        values = self._warp_by(self._resampling, tile)
        if self._resampling in (Resampling.bilinear, Resampling.cubic):
            # GDAL alone fills a cell whose nearest source cell is missing or not, depending on
            # how many bands it warps at once: here, as at stations, it is missing.
            nearest = self._warp_by(Resampling.nearest, tile)
            values[~np.isfinite(nearest)] = np.nan
        return values

    def _warp_by(self, resampling: Resampling, tile: Window) -> np.ndarray:
        part = self._target.part(tile)
        options = {
            "XSCALE": f"{self._scale[0]:.17g}",
            "YSCALE": f"{self._scale[1]:.17g}",
            "UNIFIED_SRC_NODATA": "NO",
        }
        with WarpedVRT(
            self._handle(),
            crs=parse_crs(self._target.crs),
            transform=part.transform,
            width=part.width,
            height=part.height,
            resampling=resampling,
            tolerance=TOLERANCE,
            src_nodata=math.nan,
            nodata=math.nan,
            dtype="float64",
            **options,
        ) as warped:
            return _single(warped.read())


def _tile_edge(ratio: tuple[float, float], bands: int) -> int:
    """Return the edge of the tiles that are warped: smaller where their source is much finer."""
    edge = TILE
    while edge > 1 and bands * (edge / ratio[0]) * (edge / ratio[1]) > _SOURCE_CELLS:
        edge //= 2
    return edge


def _single(values: np.ndarray) -> np.ndarray:
    """Round to float32; what does not fit becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def cell_ratio(source: Grid, target: Grid) -> tuple[float, float]:
    """Return target cells per source cell along the source's columns and rows.

    Taken at the middle of the target: GDAL's XSCALE and YSCALE, below 1 where the target is
    coarser.
    """
    t = target.transform
    x, y = place(t, target.width / 2, target.height / 2)
    xs, ys = transform_points(target.crs, source.crs, [x, x + t.a, x + t.b], [y, y + t.d, y + t.e])
    inverse = ~source.transform
    cols = inverse.a * xs + inverse.b * ys
    rows = inverse.d * xs + inverse.e * ys
    ratios = []
    for along in (cols, rows):
        span = math.hypot(along[1] - along[0], along[2] - along[0])
        ratios.append(1.0 / span if math.isfinite(span) and span > 0 else 1.0)
    return ratios[0], ratios[1]


def source_window(source: Grid, target: Grid) -> Window | None:
    """Return the source cells that a map on `target` may read, or None where it touches none."""
    try:
        extent = transform_extent(target.crs, source.crs, target.bounds)
    except InputError:
        return source.whole  # the edges have no image there, but cells inside may have one
    if not all(math.isfinite(edge) for edge in extent) or extent[2] < extent[0]:
        return source.whole
    touched = source.window_of(extent)
    if touched is None:
        return None
    reach = max(1.0, *(1.0 / ratio for ratio in cell_ratio(source, target)))
    return touched.padded(math.ceil(_MARGIN * reach)).overlap(source.whole)
