"""Cells drawn at random from a raster that is read tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import Window

_NAMES_SHOWN = 10


@dataclass(frozen=True, eq=False)
class DrawnCells:
    """Some complete cells with their random keys, and counts over all cells asked for.

    Attributes
    ----------
    X : (n, p) float64
    row, col : (n,) int64
    key : (n,) float64
    inside, complete : int
        Cells asked for, and those of them that have all covariates.
    missing : (p,) int64
        Cells asked for without a value of each covariate.
    """

    X: np.ndarray
    row: np.ndarray
    col: np.ndarray
    key: np.ndarray
    inside: int
    complete: int
    missing: np.ndarray


def draw_cells(
    stack: np.ndarray, inside: np.ndarray, tile: Window, most: int, seed: int
) -> DrawnCells:
    """Return the cells of a tile that have all covariates, `most` with the smallest keys.

    Parameters
    ----------
    stack : (p, rows, columns) float32
    inside : (rows, columns) bool
    tile : Window
        Of the grid's fixed tiling: the keys depend on its place and on `seed`.
    """
    there = np.isfinite(stack)
    complete = inside & there.all(axis=0)
    key = np.random.default_rng([seed, tile.row, tile.col]).random(inside.shape)
    rows, cols = np.nonzero(complete)
    some = np.argsort(key[rows, cols], kind="stable")[:most]
    rows, cols = rows[some], cols[some]
    return DrawnCells(
        X=stack[:, rows, cols].T.astype(np.float64),
        row=rows + tile.row,
        col=cols + tile.col,
        key=key[rows, cols],
        inside=int(inside.sum()),
        complete=int(complete.sum()),
        missing=(~there & inside).sum(axis=(1, 2)),
    )


class Keeper:
    """Keeps the cells with the smallest keys over all tiles: a random draw from all of them.

    Parameters
    ----------
    place : str
        What the cells are asked for in, as the user knows it.
    names : sequence of p str
        Covariates.
    most : int
        Cells to keep.
    """

    def __init__(self, place: str, names: Sequence[str], most: int) -> None:
        none, count = np.empty(0, dtype=np.int64), len(names)
        self._place, self._names, self._most = place, names, most
        self.cells = DrawnCells(
            np.empty((0, count)), none, none, np.empty(0), 0, 0, np.zeros(count, dtype=np.int64)
        )

    @property
    def complete(self) -> int:
        """Cells that have all covariates."""
        return self.cells.complete

    def add(self, drawn: DrawnCells) -> None:
        """Take in a tile."""
        kept = self.cells
        key = np.concatenate([kept.key, drawn.key])
        some = np.argsort(key, kind="stable")[: self._most]
        self.cells = DrawnCells(
            X=np.concatenate([kept.X, drawn.X])[some],
            row=np.concatenate([kept.row, drawn.row])[some],
            col=np.concatenate([kept.col, drawn.col])[some],
            key=key[some],
            inside=kept.inside + drawn.inside,
            complete=kept.complete + drawn.complete,
            missing=kept.missing + drawn.missing,
        )

    def check(self) -> None:
        """Raise `InputError` where there is no cell, or none with all covariates."""
        cells = self.cells
        if not cells.inside:
            raise InputError(
                f"No cell of the grid has its centre inside {self._place}.",
                "Choose polygons that lie in the grid, or smaller cells.",
            )
        if not cells.complete:
            listed = ", ".join(
                f"{name} in {missing} of {cells.inside}"
                for name, missing in zip(self._names, cells.missing)
                if missing
            )
            raise InputError(
                f"No cell inside {self._place} has all covariates. Cells without a value: "
                f"{listed}.",
                "Leave out covariates that do not cover the field, or choose another DATE.",
            )

    def tell(self, use: str, progress: Progress) -> None:
        """Say how many cells are of use, and how many are not, for want of what."""
        cells = self.cells
        if cells.complete < cells.inside:
            lacking = [f"{n} ({m})" for n, m in zip(self._names, cells.missing) if m]
            progress.info(
                f"{cells.inside - cells.complete} of {cells.inside} cells inside {self._place} are "
                f"left out, since they have no value of {', '.join(lacking[:_NAMES_SHOWN])}."
            )
        if len(cells.row) < cells.complete:
            progress.info(
                f"{len(cells.row)} of {cells.complete} cells inside {self._place}, drawn by SEED, "
                f"{use}."
            )
        else:
            progress.info(f"{cells.complete} cells inside {self._place} {use}.")
