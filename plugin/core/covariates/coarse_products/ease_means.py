"""Means and class shares of a raster over the cells of an EASE-Grid 2.0, weighted by area."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.easegrid import EaseGrid
from ...rasters.grids import Window
from ...rasters.reading import RasterInfo, RasterReader
from ...rasters.writing import RasterWriter
from .ease_overlap import CellOverlaps, Overlaps

MOST_CLASSES = 64
_SLACK = 1e-9  # of a cell: a share that is short by rounding is not short


@dataclass(frozen=True)
class Aggregation:
    """How rasters are averaged onto a grid.

    Parameters
    ----------
    ease : EaseGrid
    window : Window or None
        The cells to write; None = those that the raster touches.
    classes : bool
        Shares of classes instead of means.
    minimum_share : float
        Of a cell's area that must have values.
    block : int
        Cells a side that are computed together; the numbers do not depend on it.
    """

    ease: EaseGrid
    window: Window | None
    classes: bool
    minimum_share: float
    block: int

    def write(
        self,
        source: RasterInfo,
        bands: Sequence[Any],
        day: date | None,
        output: Path,
        progress: Progress,
    ) -> None:
        """Write means, or shares, of bands of a raster."""
        overlaps = CellOverlaps(source.grid, self.ease)
        tiles = _touching_tiles(overlaps, progress)
        window = self.window or overlaps.window(touched for _, touched in tiles)
        if window is None:
            raise RasterError(
                f"'{source.path.name}' touches no cell of the {self.ease.name} EASE-Grid 2.0: it "
                f"has {source.grid.describe()}.",
                "Check its coordinate reference system; beyond 85° of latitude there is no grid.",
            )
        _warn_if_coarser(source, overlaps, progress)
        grid = self.ease.grid.part(window)
        indexes = [band.index for band in bands]
        names, codes = [band.name for band in bands], None
        with RasterReader(source.path, progress=progress) as reader:
            if self.classes:
                codes = _find_codes(reader, indexes, tiles, progress.part(0.0, 0.3))
                names = [f"{name}_{code}" for name, own in zip(names, codes) for code in own]
            units = None if self.classes else [band.units for band in bands]
            with RasterWriter(output, grid, names, day=day, units=units) as writer:
                part = progress.part(0.3 if self.classes else 0.0, 1.0)
                blocks = grid.windows(self.block)
                filled = 0
                for done, block in enumerate(blocks):
                    wanted = block.shifted(window.col, window.row)
                    step = part.part(done / len(blocks), (done + 1) / len(blocks))
                    values = self._means(reader, indexes, codes, overlaps, tiles, wanted, step)
                    filled += int(np.isfinite(values).any(axis=0).sum())
                    writer.write(block, values)
        self._tell(output, filled, window, progress)

    def _means(
        self,
        reader: RasterReader,
        indexes: Sequence[int],
        codes: list[list[int]] | None,
        overlaps: CellOverlaps,
        tiles: Sequence[tuple[Window, Window]],
        wanted: Window,
        progress: Progress,
    ) -> np.ndarray:
        sums = _Sums(len(indexes), codes, wanted)
        around = (-self.ease.columns, 0, self.ease.columns)  # tiles may lie beyond 180° E or W
        near = [
            (tile, turned)
            for tile, touched in tiles
            for turned in (wanted.shifted(turn, 0) for turn in around)
            if touched.padded(1).overlap(turned)
        ]
        for done, (tile, turned) in enumerate(near):
            progress.step(done / len(near))
            values = reader.read(indexes, tile)
            if np.isfinite(values).any():
                sums.add(values, overlaps.of_tile(tile, turned), turned)
        return sums.result(self.minimum_share)

    def _tell(self, output: Path, filled: int, window: Window, progress: Progress) -> None:
        cells = window.width * window.height
        progress.info(f"{output.name}: {filled} of {cells} cells have values.")
        if not filled:
            progress.warn(
                f"'{output.name}' is empty: no cell has values on {self.minimum_share:.0%} of its "
                "area. Lower the smallest share of valid area, or choose finer cells."
            )


class _Sums:
    """Sums over the cells of a block: area × value, or the area of each class; and valid area."""

    def __init__(self, bands: int, codes: list[list[int]] | None, block: Window) -> None:
        self._shape = (block.height, block.width)
        self._cells = block.height * block.width
        self._codes = codes
        self._valid = np.zeros((bands, self._cells))
        self._repeats = [1] * bands if codes is None else [len(own) for own in codes]
        self._sums = np.zeros((sum(self._repeats), self._cells))

    def add(self, values: np.ndarray, overlaps: Overlaps, window: Window) -> None:
        """Add the values of a tile, shape (bands, rows, columns), to the cells of a window."""
        index = (overlaps.row - window.row) * window.width + overlaps.column - window.col
        row = 0
        for band, own in enumerate(values.reshape(len(values), -1)):
            value = own[overlaps.cell]
            known = np.isfinite(value)
            cells, area, value = index[known], overlaps.area[known], value[known]
            self._valid[band] += np.bincount(cells, area, self._cells)
            if self._codes is None:
                self._sums[band] += np.bincount(cells, area * value, self._cells)
                continue
            for code in self._codes[band]:
                here = value == code
                self._sums[row] += np.bincount(cells[here], area[here], self._cells)
                row += 1

    def result(self, minimum_share: float) -> np.ndarray:
        """Return means or shares, NaN where too little of a cell has values."""
        enough = (self._valid >= minimum_share - _SLACK) & (self._valid > _SLACK)
        valid = np.repeat(np.where(enough, self._valid, np.nan), self._repeats, axis=0)
        return (self._sums / valid).reshape(-1, *self._shape)


def _touching_tiles(overlaps: CellOverlaps, progress: Progress) -> list[tuple[Window, Window]]:
    """Return the raster's tiles, each with a window of the grid cells that it touches."""
    found = []
    for tile in overlaps.tiles():
        progress.check()
        touched = overlaps.touched(tile)
        if touched is not None:
            found.append((tile, touched))
    return found


def _find_codes(
    reader: RasterReader,
    indexes: Sequence[int],
    tiles: Sequence[tuple[Window, Window]],
    progress: Progress,
) -> list[list[int]]:
    """Return the classes of each band, ascending."""
    found: list[set[float]] = [set() for _ in indexes]
    for done, (tile, _) in enumerate(tiles):
        progress.step(done / len(tiles))
        for own, values in zip(found, reader.read(indexes, tile)):
            own.update(np.unique(values[np.isfinite(values)]).tolist())
            _check_codes(own, reader.path)
    for own in found:
        if not own:
            raise InputError(f"'{reader.path.name}' holds no class.", "Check its nodata value.")
    return [sorted(int(code) for code in own) for own in found]


def _check_codes(codes: set[float], path: Path) -> None:
    broken = [code for code in codes if code != int(code)]
    if broken:
        raise InputError(
            f"'{path.name}' holds {broken[0]:g}, which is no class.",
            "Leave CLASSES off for measured values.",
        )
    if len(codes) > MOST_CLASSES:
        raise InputError(
            f"'{path.name}' holds more than {MOST_CLASSES} different values.",
            "Group the classes first, or leave CLASSES off for measured values.",
        )


def _warn_if_coarser(source: RasterInfo, overlaps: CellOverlaps, progress: Progress) -> None:
    size = overlaps.cell_size
    if size > overlaps.ease.cell * 1.01:
        progress.warn(
            f"The cells of '{source.path.name}' (about {size:.0f} m) are coarser than those of "
            f"the {overlaps.ease.name} grid: values are repeated, no detail is gained."
        )
