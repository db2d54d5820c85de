"""The cells of a field where a probe could stand, with their covariates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Dict, Optional, Sequence

import numpy as np

from ...covariates.classes import CLASS_UNIT
from ...covariates.table import CovariateTable
from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import Grid, Window, place
from ...rasters.tiles import tiles_of
from ...rasters.warping import CovariateReader, Source
from ...rasters.workers import compute_in_order
from ...rasters.writing import rasterize_mask
from .planning_draw import DrawnCells, Keeper, draw_cells

CANDIDATES = 10_000
"""So many cells, drawn by seed, stand for a larger field."""

Polygons = Optional[Sequence[Dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class FieldCells:
    """Cells of a field, in the order of rows and columns, that have all covariates.

    Attributes
    ----------
    names : tuple of p str
        Covariates, sorted.
    X : (n, p) float64
    row, col : (n,) int64
    in_field : (n,) bool
        Drawn to stand for the field.
    accessible : (n,) bool
        Drawn as a place for a probe.
    of_classes : (p,) bool
        Which covariates are class codes.
    complete : int
        Cells of the field with all covariates.
    own : (m, p) float64
        Covariates in the cells of the places asked for; NaN outside the grid and where missing.
    own_cell : (m, 2) int64
        Row and column of these cells; -1 outside the grid.
    """

    names: tuple[str, ...]
    X: np.ndarray
    row: np.ndarray
    col: np.ndarray
    in_field: np.ndarray
    accessible: np.ndarray
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
    mask: Polygons = None,
    access: Polygons = None,
    places: tuple[np.ndarray, np.ndarray],
    most: int = CANDIDATES,
    seed: int = 42,
    threads: int = 2,
    progress: Progress,
) -> FieldCells:
    """Read a field block by block and keep `most` of its complete cells, drawn by `seed`.

    Memory does not grow with the field; which cells are drawn depends on the grid and the seed
    alone. With `access` as many of the cells inside are drawn beside them.

    Parameters
    ----------
    mask : sequence of dict, optional
        The field, as GeoJSON polygons in the system of the grid: cells whose centre lies inside.
    access : sequence of dict, optional
        The same, where in the field a probe may stand.
    places : (x, y), each (m,) float64
        In the system of the grid: their own cells are read as well.

    Raises
    ------
    InputError
        When no cell is inside the polygons or has all covariates.
    """
    names = tuple(source.covariate for source in sources)
    field = Keeper("the grid" if mask is None else "MASK", names, most)
    open_ = Keeper("ACCESS", names, most)
    cells = _cells_of(grid, *places)
    own = np.full((len(cells), len(names)), np.nan)
    tiles = tiles_of(grid, grid.whole)
    done = 0
    with CovariateReader(sources, grid, progress) as reader:

        def work(tile: Window) -> _Tile | None:
            inside = _inside(mask, grid, tile)
            held = np.flatnonzero(_within(cells, tile))
            if not inside.any() and not len(held):
                return None
            stack = reader.read(tile)
            rows, cols = cells[held, 0] - tile.row, cells[held, 1] - tile.col
            drawn = [draw_cells(stack, inside, tile, most, seed)]
            if access is not None:
                drawn.append(
                    draw_cells(stack, inside & _inside(access, grid, tile), tile, most, seed)
                )
            return _Tile(tuple(drawn), held, stack[:, rows, cols].T)

        def take(tile: Window, found: _Tile | None) -> None:
            nonlocal done
            if found is not None:
                for keeper, drawn in zip((field, open_), found.drawn):
                    keeper.add(drawn)
                own[found.held] = found.own
            done += 1
            progress.step(done / len(tiles))

        compute_in_order(work, tiles, take, threads, progress)
    field.check()
    if access is not None:
        open_.check()
    cells_kept = _united(field, open_ if access is not None else field, grid)
    progress.info(f"Covariates: {', '.join(names)}.")
    field.tell(
        "stand for the field" + ("" if access is not None else " and may be chosen"), progress
    )
    if access is not None:
        open_.tell("may be chosen", progress)
    of_classes = np.array([name in classes for name in names], dtype=bool)
    return FieldCells(names, *cells_kept, of_classes, field.complete, own, cells)


def centres(grid: Grid, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the centres of cells."""
    t = grid.transform
    return t.a * (col + 0.5) + t.b * (row + 0.5) + t.c, t.d * (col + 0.5) + t.e * (row + 0.5) + t.f


@dataclass(frozen=True, eq=False)
class _Tile:
    drawn: tuple[DrawnCells, ...]
    held: np.ndarray
    own: np.ndarray


def _united(
    field: Keeper, accessible: Keeper, grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates, row, column and both memberships of the cells that either holds."""
    both = (field.cells, accessible.cells)
    number = np.concatenate([one.row * grid.width + one.col for one in both])
    kept, first = np.unique(number, return_index=True)
    X = np.concatenate([one.X for one in both])[first]
    members = [np.isin(kept, one.row * grid.width + one.col) for one in both]
    return X, kept // grid.width, kept % grid.width, members[0], members[1]


def _inside(polygons: Polygons, grid: Grid, tile: Window) -> np.ndarray:
    if polygons is None:
        return np.ones((tile.height, tile.width), dtype=bool)
    return rasterize_mask(polygons, grid, tile)


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
