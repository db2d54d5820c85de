"""Flow over large DEMs by compiled kernels, where numba is installed."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ...kernel_cache import Kernels
from ...progress import Progress

FEWEST = 300_000  # cells; with fewer, loading the kernels takes longer than the work
_AT_ONCE = 1 << 20  # cells between two looks at the cancel button
_compiled = Kernels("flow_compiled", str(__package__))


def bytes_per_cell(cells: int) -> int:
    """Return about how much memory the flow over a DEM of so many cells takes for each."""
    return 45 if _kernels(cells) is not None else 150


def flood_fast(
    z: np.ndarray, outlets: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return level, order and parent as `Flood` has them, or None where NumPy has to do it.

    Parameters
    ----------
    z : float64 array, shape (h, w)
        Elevation; NaN where missing.
    outlets : int64 array
        Flat indices of the cells beside the edge or a missing cell, ascending.
    """
    kernels = _kernels(z.size)
    if kernels is None:
        return None
    level = np.array(z, dtype=np.float64).ravel()
    closed = ~np.isfinite(level)
    total = max(1, level.size - int(closed.sum()))
    parent = np.full(level.size, -1, dtype=np.int64)
    order = np.empty(total, dtype=np.int64)
    counts = np.zeros(kernels.COUNTS, dtype=np.int64)
    room = 2 * len(outlets) + _AT_ONCE
    heap = (np.empty(room), np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64))
    pit = np.empty(_AT_ONCE, dtype=np.int64)
    try:
        kernels.start_flood(level, outlets, closed, *heap, counts)
        while kernels.flood_some(
            level, z.shape[1], closed, parent, order, *heap, pit, counts, _AT_ONCE
        ):
            if counts[kernels.HEAP] + kernels.ROOM > len(heap[0]):
                heap = (_longer(heap[0]), _longer(heap[1]), _longer(heap[2]))
            if counts[kernels.PIT_LAST] + kernels.ROOM > len(pit):
                pit = _longer(pit)
            progress.step(int(counts[kernels.ORDER]) / total)
    except kernels.NumbaError:
        _compiled.give_up()
        return None
    return level.reshape(z.shape), order[: counts[kernels.ORDER]], parent


def accumulate_fast(
    level: np.ndarray,
    order: np.ndarray,
    parent: np.ndarray,
    size: tuple[float, float],
    exponent: float,
    open_edge: bool,
    progress: Progress,
) -> np.ndarray | None:
    """Return the cells that drain through each cell, or None where NumPy has to do it."""
    kernels = _kernels(level.size)
    if kernels is None:
        return None
    water = np.full(level.size, np.nan)
    water[order] = 1.0
    flat = np.ascontiguousarray(level, dtype=np.float64).ravel()
    try:
        for stop in range(len(order), 0, -_AT_ONCE):
            start = max(0, stop - _AT_ONCE)
            kernels.share_some(
                flat, level.shape[1], order, parent, water, *size, exponent, open_edge, start, stop
            )
            progress.step(1.0 - start / len(order))
    except kernels.NumbaError:
        _compiled.give_up()
        return None
    return water.reshape(level.shape)


def _longer(array: np.ndarray) -> np.ndarray:
    longer = np.empty(2 * len(array), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


def _kernels(cells: int) -> ModuleType | None:
    return None if cells < FEWEST else _compiled.chosen()
