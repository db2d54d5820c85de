"""The cells of a field where a probe could stand, with their covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from ..covariates.classes import CLASS_UNIT
from ..covariates.table import CovariateTable
from ..errors import InputError
from ..progress import Progress
from ..rasters.grids import Grid, Window, place
from ..rasters.tiles import tiles_of
from ..rasters.warping import CovariateReader, Source
from ..rasters.workers import compute_in_order
from ..rasters.writing import rasterize_mask

CANDIDATES = 10_000
"""So many cells, drawn by seed, stand for a larger field."""

_NAMES_SHOWN = 10


@dataclass(frozen=True, eq=False)
class FieldCells:
    """Cells of a field, in the order of rows and columns, that have all covariates.

    Attributes
    ----------
    names : tuple of p str
        Covariates, sorted.
    X : (n, p) float64
    row, col : (n,) int64
    of_classes : (p,) bool
        Which covariates are class codes.
    complete : int
        Cells with all covariates, of which these were drawn.
    own : (m, p) float64
        Covariates in the cells of the places asked for; NaN outside the grid and where missing.
    own_cell : (m, 2) int64
        Row and column of these cells; -1 outside the grid.
    """

    names: tuple[str, ...]
    X: np.ndarray
    row: np.ndarray
    col: np.ndarray
    of_classes: np.ndarray
    complete: int
    own: np.ndarray
    own_cell: np.ndarray


def choose_rasters(
    table: CovariateTable, wanted: Sequence[str] | None, day: date | None, progress: Progress
) -> tuple[list[Source], set[str]]:
    """Return the bands to plan by, by name, and which of them are classes.

    Parameters
    ----------
    wanted : sequence of str or None
        Covariates; those the table lacks are named and left out. None = all of the table, but for
        `aspect` where its sine and cosine are there.
    day : date or None
        Dated covariates are those of that day; without it only static ones are used.

    Raises
    ------
    InputError
        When no covariate is left, or those used are ambiguous.
    """
    names = set(table.names)
    if {"aspect_sin", "aspect_cos"} <= names:
        names.discard("aspect")
    if wanted is not None:
        lacking = sorted(set(wanted) - set(table.names))
        names = set(wanted) - set(lacking)
        if lacking:
            progress.info(f"Not in the covariate table, left out: {', '.join(lacking)}.")
    table.check(names)
    rows = table.select(sorted(names), day)
    without = [name for name, row in rows.items() if row is None]
    if without:
        if day is None:
            progress.info(f"Dated covariates are left out without DATE: {', '.join(without)}.")
        else:
            progress.warn(f"Left out, since not there on {day}: {_nearest(table, without, day)}.")
    sources = [
        Source(name, table.path_of(row), row.band, row.resampling)
        for name, row in rows.items()
        if row is not None
    ]
    if not sources:
        raise InputError(
            "The covariate table offers no covariate to plan by.",
            "Give a DATE for dated covariates, or add static rasters such as terrain and soil.",
        )
    return sources, {n for n, row in rows.items() if row is not None and row.units == CLASS_UNIT}


def read_cells(
    sources: Sequence[Source],
    grid: Grid,
    *,
    classes: set[str],
    access: Sequence[dict[str, Any]] | None,
    places: tuple[np.ndarray, np.ndarray],
    most: int = CANDIDATES,
    seed: int = 42,
    threads: int = 2,
    progress: Progress,
) -> FieldCells:
    """Read a field block by block and keep `most` of its complete cells, drawn by `seed`.

    Memory does not grow with the field; which cells are drawn depends on the grid and the seed
    alone.

    Parameters
    ----------
    access : sequence of dict, optional
        GeoJSON polygons in the system of the grid: cells whose centre lies inside may be drawn.
    places : (x, y), each (m,) float64
        In the system of the grid: their own cells are read as well.

    Raises
    ------
    InputError
        When no cell is inside the polygons or has all covariates.
    """
    names = tuple(source.covariate for source in sources)
    keeper = _Keeper(len(names), most)
    cells = _cells_of(grid, *places)
    own = np.full((len(cells), len(names)), np.nan)
    tiles = tiles_of(grid, grid.whole)
    with CovariateReader(sources, grid, progress) as reader:

        def work(tile: Window) -> _Tile | None:
            inside = np.ones((tile.height, tile.width), dtype=bool)
            if access is not None:
                inside = rasterize_mask(access, grid, tile)
            held = np.flatnonzero(_within(cells, tile))
            if not inside.any() and not len(held):
                return None
            stack = reader.read(tile)
            rows, cols = cells[held, 0] - tile.row, cells[held, 1] - tile.col
            return _Tile(_drawn(stack, inside, tile, most, seed), held, stack[:, rows, cols].T)

        def take(tile: Window, found: _Tile | None) -> None:
            if found is not None:
                keeper.add(found.cells)
                own[found.held] = found.own
            keeper.tiles += 1
            progress.step(keeper.tiles / len(tiles))

        compute_in_order(work, tiles, take, threads, progress)
    keeper.check(names, access is not None)
    X, row, col = keeper.sorted()
    _tell(keeper, names, len(X), progress)
    of_classes = np.array([name in classes for name in names], dtype=bool)
    return FieldCells(names, X, row, col, of_classes, keeper.complete, own, cells)


def centres(grid: Grid, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the centres of cells."""
    t = grid.transform
    return t.a * (col + 0.5) + t.b * (row + 0.5) + t.c, t.d * (col + 0.5) + t.e * (row + 0.5) + t.f


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Some complete cells of a tile with their keys, and counts over all of it."""

    X: np.ndarray
    row: np.ndarray
    col: np.ndarray
    key: np.ndarray
    inside: int
    complete: int
    missing: np.ndarray


@dataclass(frozen=True, eq=False)
class _Tile:
    cells: _Drawn
    held: np.ndarray
    own: np.ndarray


class _Keeper:
    """Keeps the cells with the smallest random keys over all tiles."""

    def __init__(self, covariates: int, most: int) -> None:
        self.tiles = self.inside = self.complete = 0
        self.missing = np.zeros(covariates, dtype=np.int64)
        self._most = most
        self._X = np.empty((0, covariates))
        self._row = self._col = np.empty(0, dtype=np.int64)
        self._key = np.empty(0)

    def add(self, drawn: _Drawn) -> None:
        self.inside += drawn.inside
        self.complete += drawn.complete
        self.missing += drawn.missing
        key = np.concatenate([self._key, drawn.key])
        some = np.argsort(key, kind="stable")[: self._most]
        self._key = key[some]
        self._X = np.concatenate([self._X, drawn.X])[some]
        self._row = np.concatenate([self._row, drawn.row])[some]
        self._col = np.concatenate([self._col, drawn.col])[some]

    def sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        order = np.lexsort((self._col, self._row))
        return self._X[order], self._row[order], self._col[order]

    def check(self, names: Sequence[str], masked: bool) -> None:
        if not self.inside:
            raise InputError(
                "No cell of the grid has its centre inside ACCESS.",
                "Choose polygons that lie in the grid, or smaller cells.",
            )
        if not self.complete:
            listed = ", ".join(
                f"{name} in {missing} of {self.inside}"
                for name, missing in zip(names, self.missing)
                if missing
            )
            raise InputError(
                f"No cell{' inside ACCESS' if masked else ''} has all covariates. Cells without a "
                f"value: {listed}.",
                "Leave out covariates that do not cover the field, or choose another DATE.",
            )


def _drawn(stack: np.ndarray, inside: np.ndarray, tile: Window, most: int, seed: int) -> _Drawn:
    there = np.isfinite(stack)
    complete = inside & there.all(axis=0)
    key = np.random.default_rng([seed, tile.row, tile.col]).random(inside.shape)
    rows, cols = np.nonzero(complete)
    some = np.argsort(key[rows, cols], kind="stable")[:most]
    rows, cols = rows[some], cols[some]
    return _Drawn(
        X=stack[:, rows, cols].T.astype(np.float64),
        row=rows + tile.row,
        col=cols + tile.col,
        key=key[rows, cols],
        inside=int(inside.sum()),
        complete=int(complete.sum()),
        missing=(~there & inside).sum(axis=(1, 2)),
    )


def _cells_of(grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return row and column of the cell of each place, (m, 2) int64; -1 outside the grid."""
    inverse = ~grid.transform
    corner_x, corner_y = place(grid.transform, 0, 0)
    dx, dy = x - corner_x, y - corner_y
    with np.errstate(invalid="ignore"):
        col = np.floor(inverse.a * dx + inverse.b * dy)
        row = np.floor(inverse.d * dx + inverse.e * dy)
        inside = (col >= 0) & (col < grid.width) & (row >= 0) & (row < grid.height)
    cells = np.full((len(x), 2), -1, dtype=np.int64)
    cells[inside] = np.column_stack([row[inside], col[inside]]).astype(np.int64)
    return cells


def _within(cells: np.ndarray, tile: Window) -> np.ndarray:
    row, col = cells[:, 0] - tile.row, cells[:, 1] - tile.col
    return (row >= 0) & (row < tile.height) & (col >= 0) & (col < tile.width)


def _nearest(table: CovariateTable, names: Sequence[str], day: date) -> str:
    return ", ".join(f"{n} (nearest date {table.nearest_date(n, day)})" for n in names)


def _tell(keeper: _Keeper, names: Sequence[str], drawn: int, progress: Progress) -> None:
    progress.info(f"Covariates: {', '.join(names)}.")
    if keeper.complete < keeper.inside:
        listed = [f"{n} ({m})" for n, m in zip(names, keeper.missing) if m]
        progress.info(
            f"{keeper.inside - keeper.complete} of {keeper.inside} cells are no candidates, since "
            f"they have no value of {', '.join(listed[:_NAMES_SHOWN])}."
        )
    if drawn < keeper.complete:
        progress.info(
            f"{drawn} of {keeper.complete} cells, drawn by SEED, stand for the field and may be "
            "chosen."
        )
    else:
        progress.info(f"{drawn} cells make up the field and may be chosen.")
