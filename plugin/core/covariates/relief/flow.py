"""Where water gathers: filled depressions, multiple-flow upslope area, topographic wetness."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from ...progress import Progress
from .flow_engine import accumulate_fast, flood_fast

EXPONENT = 1.1
MINIMUM_TANGENT = 0.001
_WAYS = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c)
_CHUNK = 1 << 17
_CANCEL_EVERY = 1 << 15


@dataclass(frozen=True)
class Flood:
    """A DEM without closed depressions, and the way water leaves it.

    Attributes
    ----------
    level : ndarray of float, shape (h, w)
        Elevation with depressions filled to their outlet; NaN where missing.
    order : ndarray of int64, shape (n,)
        Flat indices of the valid cells, outlets first; `level` never falls along it.
    parent : ndarray of int64, shape (h * w,)
        Flat index of the neighbour each cell was flooded from; -1 for outlets and missing cells.
    """

    level: np.ndarray
    order: np.ndarray
    parent: np.ndarray


def fill_depressions(z: np.ndarray, progress: Progress | None = None) -> Flood:
    """Fill closed depressions by priority flood (Barnes et al. 2014).

    Water leaves over the raster's edge and into missing cells. Equal levels are flooded in the
    order they were reached, so that flats drain by short ways.

    Parameters
    ----------
    z : ndarray, shape (h, w)
        Elevation; NaN where missing.

    References
    ----------
    Barnes, R., Lehman, C., Mulla, D. (2014). Priority-flood. Computers & Geosciences 62,
    117–127. https://doi.org/10.1016/j.cageo.2013.04.024
    """
    progress = progress or Progress()
    z = np.asarray(z, dtype=np.float64)
    found = flood_fast(z, _outlets(z), progress) or _flood(z, progress)
    return Flood(*found)


def _flood(z: np.ndarray, progress: Progress) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return level, order and parent of a `Flood`, without numba."""
    framed = np.pad(z, 1, constant_values=np.nan)
    width = framed.shape[1]
    order, parent, level = _flood_framed(framed, np.isfinite(framed), width, progress)
    rows, columns = np.divmod(order, width)
    inner = (rows - 1) * z.shape[1] + columns - 1
    parents = np.full(z.size, -1, dtype=np.int64)
    has = parent >= 0
    prow, pcolumn = np.divmod(parent[has], width)
    parents[inner[has]] = (prow - 1) * z.shape[1] + pcolumn - 1
    filled = np.full(z.size, np.nan)
    filled[inner] = level
    return filled.reshape(z.shape), inner, parents


def _flood_framed(
    framed: np.ndarray, valid: np.ndarray, width: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flat indices into the framed grid in flooding order, their parents and levels."""
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    elevation = framed.ravel().tolist()
    closed = bytearray((~valid).ravel().tobytes())
    outlets = np.flatnonzero(valid & _beside_missing(valid)).tolist()
    total = max(int(valid.sum()), 1)
    heap = [(elevation[cell], number, cell, -1) for number, cell in enumerate(outlets)]
    heapq.heapify(heap)
    for cell in outlets:
        closed[cell] = 1
    number = len(heap)
    pit: deque[tuple[float, int, int]] = deque()
    order: list[int] = []
    parents: list[int] = []
    levels: list[float] = []
    while heap or pit:
        if pit:
            level, cell, parent = pit.popleft()
        else:
            level, _, cell, parent = heapq.heappop(heap)
        order.append(cell)
        parents.append(parent)
        levels.append(level)
        if not len(order) % _CANCEL_EVERY:
            progress.step(len(order) / total)
        for step in steps:
            beside = cell + step
            if closed[beside]:
                continue
            closed[beside] = 1
            height = elevation[beside]
            if height <= level:
                pit.append((level, beside, cell))
            else:
                heapq.heappush(heap, (height, number, beside, cell))
                number += 1
    return np.array(order, dtype=np.int64), np.array(parents, dtype=np.int64), np.array(levels)


def _outlets(z: np.ndarray) -> np.ndarray:
    """Return the flat indices of the cells beside the edge or a missing cell."""
    valid = np.pad(np.isfinite(z), 1)
    return np.flatnonzero((valid & _beside_missing(valid))[1:-1, 1:-1])


def _beside_missing(valid: np.ndarray) -> np.ndarray:
    beside = np.zeros_like(valid)
    inside = ~valid
    for way in _WAYS:
        beside |= np.roll(inside, way, axis=(0, 1))
    return beside


def accumulate_upslope(
    flood: Flood,
    cell_x: float,
    cell_y: float,
    exponent: float = EXPONENT,
    progress: Progress | None = None,
    *,
    open_edge: bool = True,
) -> np.ndarray:
    """Count the cells that drain through each cell, itself included (Freeman 1991).

    A cell shares its water among its lower neighbours in proportion to (tan slope)^`exponent`;
    one without lower neighbours, as on filled depressions, passes it all on to the neighbour it
    was flooded from. With `open_edge` the ground goes on beyond the edge and in missing cells as
    it falls from the opposite neighbour, and what flows there is lost, as in SAGA; without, water
    gathers along the edge.

    Returns
    -------
    ndarray of float, shape (h, w)
        Upslope area in cells (at least 1); NaN where missing.

    References
    ----------
    Freeman, T.G. (1991). Calculating catchment area with divergent flow based on a regular grid.
    Computers & Geosciences 17, 413–422. https://doi.org/10.1016/0098-3004(91)90048-I
    """
    progress = progress or Progress()
    cells = accumulate_fast(
        flood.level, flood.order, flood.parent, (cell_x, cell_y), exponent, open_edge, progress
    )
    if cells is None:
        cells = _accumulate(flood, (cell_x, cell_y), exponent, open_edge, progress)
    return cells


def _accumulate(
    flood: Flood, size: tuple[float, float], exponent: float, open_edge: bool, progress: Progress
) -> np.ndarray:
    """Accumulate without numba: a sparse system a portion of cells."""
    shape = flood.level.shape
    upstream = flood.order[::-1]
    position = np.full(flood.level.size, -1, dtype=np.int64)
    position[upstream] = np.arange(len(upstream))
    water = np.full(flood.level.size, np.nan)
    water[upstream] = 1.0
    for start in range(0, len(upstream), _CHUNK):
        cells = upstream[start : start + _CHUNK]
        giver, receiver, share = _shares(flood, cells, size, exponent, open_edge)
        within = position[receiver] < start + len(cells)
        own = np.arange(len(cells))
        row = np.concatenate([own, position[receiver[within]] - start])
        column = np.concatenate([own, giver[within]])
        value = np.concatenate([np.ones(len(cells)), -share[within]])
        system = csc_matrix((value, (row, column)), shape=(len(cells), len(cells)))
        here = splu(system, permc_spec="NATURAL", diag_pivot_thresh=0.0).solve(water[cells])
        water[cells] = here
        passed = share[~within] * here[giver[~within]]
        water += np.bincount(receiver[~within], weights=passed, minlength=water.size)
        progress.step(min(1.0, (start + len(cells)) / len(upstream)))
    return water.reshape(shape)


def _shares(
    flood: Flood,
    cells: np.ndarray,
    size: tuple[float, float],
    exponent: float,
    open_edge: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return giver (position in `cells`), receiver (flat index) and share of each flow."""
    level = flood.level.ravel()
    own = level[cells]
    around = {way: _neighbours(flood.level, cells, *way) for way in _WAYS}
    givers, receivers, weights = [], [], []
    total = np.zeros(len(cells))
    for down, right in _WAYS:
        length = np.hypot(down * size[1], right * size[0])
        receiver, there = around[down, right]
        fall = own - there
        beyond = np.isnan(there)
        if open_edge:
            fall[beyond] = around[-down, -right][1][beyond] - own[beyond]
        giver = np.flatnonzero(fall > 0)
        weight = (fall[giver] / length) ** exponent
        total[giver] += weight
        stays = ~beyond[giver]
        givers.append(giver[stays])
        receivers.append(receiver[giver[stays]])
        weights.append(weight[stays])
    flat = np.flatnonzero((total == 0) & (flood.parent[cells] >= 0))
    total[flat] = 1.0
    giver = np.concatenate([*givers, flat])
    receiver = np.concatenate([*receivers, flood.parent[cells[flat]]])
    weight = np.concatenate([*weights, np.ones(len(flat))])
    return giver, receiver, weight / total[giver]


def _neighbours(
    level: np.ndarray, cells: np.ndarray, down: int, right: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return flat indices and levels of the neighbours in a direction; NaN beyond the edge."""
    height, width = level.shape
    rows, columns = np.divmod(cells, width)
    rows, columns = rows + down, columns + right
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    beside = np.where(inside, rows * width + columns, 0)
    return beside, np.where(inside, level.ravel()[beside], np.nan)


def wetness_index(
    z: np.ndarray,
    tangent: np.ndarray,
    cell_x: float,
    cell_y: float,
    progress: Progress | None = None,
    *,
    open_edge: bool = True,
) -> np.ndarray:
    """Topographic wetness index ln(a / tan β) of a whole DEM.

    Parameters
    ----------
    z : ndarray, shape (h, w)
        Elevation in metres; NaN where missing.
    tangent : ndarray, shape (h, w)
        tan β of the unfilled DEM, raised to at least 0.001; NaN where missing.
    cell_x, cell_y : float
        Cell size in metres; a = upslope area / √(cell_x · cell_y).
    open_edge : bool
        See :func:`accumulate_upslope`.

    Returns
    -------
    ndarray of float, shape (h, w)
        The index; NaN where `z` or `tangent` is missing.
    """
    cells = upslope_cells(z, cell_x, cell_y, progress, open_edge=open_edge)
    return wetness(cells, tangent, cell_x, cell_y)


def upslope_cells(
    z: np.ndarray,
    cell_x: float,
    cell_y: float,
    progress: Progress | None = None,
    *,
    open_edge: bool = True,
) -> np.ndarray:
    """Count the cells that drain through each cell of a whole DEM, once depressions are filled.

    See :func:`fill_depressions` and :func:`accumulate_upslope`; `cell_y` may be negative.
    """
    progress = progress or Progress()
    flood = fill_depressions(z, progress.part(0.0, 0.6))
    return accumulate_upslope(
        flood, abs(cell_x), abs(cell_y), progress=progress.part(0.6, 1.0), open_edge=open_edge
    )


def wetness(cells: np.ndarray, tangent: np.ndarray, cell_x: float, cell_y: float) -> np.ndarray:
    """Wetness index from upslope cells and tan β, cell by cell; see :func:`wetness_index`."""
    length = np.sqrt(abs(cell_x * cell_y))
    index: np.ndarray = np.log(cells * length / np.maximum(tangent, MINIMUM_TANGENT))
    return index
