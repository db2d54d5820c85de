"""Compiled kernels of `flow`: priority flood and multiple flow, a portion of cells a call.

Imported by :mod:`.flow` only, where numba is installed. State lies in arrays of the caller, so
that between two calls it may ask for cancel, or give longer arrays.
"""

from __future__ import annotations

import numpy as np
from numba.core.errors import NumbaError

from ...kernel_cache import kernel

__all__ = [
    "COUNTS",
    "HEAP",
    "ORDER",
    "PIT_LAST",
    "ROOM",
    "NumbaError",
    "flood_some",
    "share_some",
    "start_flood",
]

# places in the array of counts
HEAP, NUMBER, PIT_FIRST, PIT_LAST, ORDER = range(5)
COUNTS = 5
ROOM = 8  # neighbours that one cell may add to the heap or the pit


@kernel
def _before(level, number, i, j):
    """Whether entry i of the heap comes before entry j: lower, or as low and there earlier."""
    return level[i] < level[j] or (level[i] == level[j] and number[i] < number[j])


@kernel
def _swap(level, number, cell, i, j):
    level[i], level[j] = level[j], level[i]
    number[i], number[j] = number[j], number[i]
    cell[i], cell[j] = cell[j], cell[i]


@kernel
def _push(level, number, cell, size, new_level, new_number, new_cell):
    level[size], number[size], cell[size] = new_level, new_number, new_cell
    i = size
    while i > 0:
        above = (i - 1) // 2
        if not _before(level, number, i, above):
            break
        _swap(level, number, cell, i, above)
        i = above


@kernel
def _drop_first(level, number, cell, size):
    """Take the first entry of a heap of `size` away."""
    last = size - 1
    level[0], number[0], cell[0] = level[last], number[last], cell[last]
    i = 0
    while True:
        least = i
        for below in range(2 * i + 1, min(2 * i + 3, last)):
            if _before(level, number, below, least):
                least = below
        if least == i:
            break
        _swap(level, number, cell, i, least)
        i = least


@kernel
def start_flood(z, outlets, closed, heap_level, heap_number, heap_cell, counts):
    """Put the outlets (flat indices) into the heap, which has room for them."""
    for cell in outlets:
        closed[cell] = True
        _push(heap_level, heap_number, heap_cell, counts[HEAP], z[cell], counts[NUMBER], cell)
        counts[HEAP] += 1
        counts[NUMBER] += 1


@kernel
def flood_some(
    z, width, closed, parent, order, heap_level, heap_number, heap_cell, pit, counts, most
):
    """Flood up to `most` cells; return whether there are more.

    Stops early where the heap or the pit needs a longer array. `z` becomes the filled level.
    """
    height = z.size // width
    stop = counts[ORDER] + most
    while counts[HEAP] > 0 or counts[PIT_FIRST] < counts[PIT_LAST]:
        if counts[PIT_FIRST] == counts[PIT_LAST]:
            counts[PIT_FIRST] = counts[PIT_LAST] = 0
        if (
            counts[ORDER] >= stop
            or counts[HEAP] + ROOM > heap_level.size
            or counts[PIT_LAST] + ROOM > pit.size
        ):
            return True
        if counts[PIT_FIRST] < counts[PIT_LAST]:
            cell = pit[counts[PIT_FIRST]]
            counts[PIT_FIRST] += 1
        else:
            cell = heap_cell[0]
            _drop_first(heap_level, heap_number, heap_cell, counts[HEAP])
            counts[HEAP] -= 1
        order[counts[ORDER]] = cell
        counts[ORDER] += 1
        level = z[cell]
        row, column = cell // width, cell % width
        for down in range(-1, 2):
            if row + down < 0 or row + down >= height:
                continue
            for right in range(-1, 2):
                if column + right < 0 or column + right >= width:
                    continue
                beside = cell + down * width + right
                if closed[beside]:
                    continue
                closed[beside] = True
                parent[beside] = cell
                if z[beside] <= level:
                    z[beside] = level
                    pit[counts[PIT_LAST]] = beside
                    counts[PIT_LAST] += 1
                else:
                    _push(
                        heap_level, heap_number, heap_cell,
                        counts[HEAP], z[beside], counts[NUMBER], beside,
                    )  # fmt: skip
                    counts[HEAP] += 1
                    counts[NUMBER] += 1
    return False


@kernel
def share_some(
    level, width, order, parent, water, cell_x, cell_y, exponent, open_edge, start, stop
):
    """Pass the water of the cells `order[start:stop]` on, the last first."""
    height = level.size // width
    receiver = np.empty(8, np.int64)
    weight = np.empty(8)
    for place in range(stop - 1, start - 1, -1):
        cell = order[place]
        row, column = cell // width, cell % width
        total = 0.0
        count = 0
        for down in range(-1, 2):
            for right in range(-1, 2):
                if down == 0 and right == 0:
                    continue
                there = _level_at(level, width, height, row + down, column + right)
                stays = not np.isnan(there)
                if stays:
                    fall = level[cell] - there
                elif open_edge:
                    there = _level_at(level, width, height, row - down, column - right)
                    fall = there - level[cell]
                else:
                    continue
                if not fall > 0.0:
                    continue
                length = np.hypot(down * cell_y, right * cell_x)
                share = (fall / length) ** exponent
                total += share
                if stays:
                    receiver[count] = cell + down * width + right
                    weight[count] = share
                    count += 1
        if total == 0.0 and parent[cell] >= 0:
            water[parent[cell]] += water[cell]
        for k in range(count):
            water[receiver[k]] += water[cell] * (weight[k] / total)


@kernel
def _level_at(level, width, height, row, column):
    if row < 0 or row >= height or column < 0 or column >= width:
        return np.nan
    return level[row * width + column]
