"""The fixed tiling of a grid: what is computed tile by tile does not depend on blocks."""

from __future__ import annotations

import numpy as np

from .grids import Grid, Window

TILE = 256


def tiles_of(grid: Grid, window: Window, edge: int = TILE) -> list[Window]:
    """Return the tiles of the grid's fixed tiling that a window touches, row by row."""
    return [
        Window(col, row, min(edge, grid.width - col), min(edge, grid.height - row))
        for row in range(window.row // edge * edge, window.row + window.height, edge)
        for col in range(window.col // edge * edge, window.col + window.width, edge)
    ]


def copy_overlap(
    source: np.ndarray, source_window: Window, target: np.ndarray, target_window: Window
) -> None:
    """Copy the cells two windows share from one array to another (last two axes)."""
    common = source_window.overlap(target_window)
    if common is not None:
        from_rows, from_cols = common.shifted(-source_window.col, -source_window.row).slices
        to_rows, to_cols = common.shifted(-target_window.col, -target_window.row).slices
        target[..., to_rows, to_cols] = source[..., from_rows, from_cols]
