"""Compiled search among points: nearest distances and counts, for groups of queries at a time.

Imported by :mod:`.neighbours` only, where numba is installed. Queries that lie close together form
a group, which goes down the tree of rows as one box: a node is left out where no query of the
group can find anything in it, and counted as a whole where all of it lies within the radius of
every query. What remains is compared pair by pair, always in the same order of coordinates, so
that a result depends on the pair alone and not on the group.
"""

from __future__ import annotations

import numpy as np
from numba.core.errors import NumbaError

from ..kernel_cache import kernel

__all__ = ["LANES", "STRIDE", "NumbaError", "build_tree", "search_groups"]

LANES = 32  # queries of a group, side by side in the processor's registers
STRIDE = 4  # coordinates added up between two looks at what is too far already
_WIDEST = 8
_DEPTH = 64


@kernel
def _select(points, order, low, high, nth, axis):
    """Reorder `order[low:high]` so that the `nth` stands where it would if sorted by `axis`."""
    high -= 1
    while high > low:
        first = points[order[low], axis]
        middle = points[order[(low + high) // 2], axis]
        last = points[order[high], axis]
        pivot = max(min(first, middle), min(max(first, middle), last))
        i, j = low, high
        while i <= j:
            while points[order[i], axis] < pivot:
                i += 1
            while points[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if nth <= j:
            high = j
        elif nth >= i:
            low = i
        else:
            return


@kernel
def build_tree(points, order, start, stop, lower, upper):
    """Halve the points by their widest coordinate, level by level.

    Node i has the children 2i + 1 and 2i + 2, holds the points `order[start[i]:stop[i]]` and has
    the corners `lower[i]` and `upper[i]`.
    """
    n, p = points.shape
    nodes = len(start)
    start[0], stop[0] = 0, n
    for node in range(nodes):
        first, end = start[node], stop[node]
        low, high = lower[node], upper[node]
        for j in range(p):
            low[j], high[j] = np.inf, -np.inf
        for i in range(first, end):
            for j in range(p):
                value = points[order[i], j]
                low[j] = min(low[j], value)
                high[j] = max(high[j], value)
        left = 2 * node + 1
        if left >= nodes:
            continue
        axis = 0
        for j in range(p):
            if high[j] - low[j] > high[axis] - low[axis]:
                axis = j
        middle = (first + end) // 2
        _select(points, order, first, end, middle, axis)
        start[left], stop[left] = first, middle
        start[left + 1], stop[left + 1] = middle, end


@kernel
def _between(a_low, a_high, b_low, b_high):
    """Return the smallest and the largest square of a distance between points of two boxes."""
    near, far = 0.0, 0.0
    for j in range(len(a_low)):
        up, down = b_high[j] - a_low[j], a_high[j] - b_low[j]
        gap = max(0.0, max(-up, -down))
        reach = max(up, down)
        near += gap * gap
        far += reach * reach
    return near, far


@kernel
def _compare(lanes, row, square, limit):
    """Put the squares of the distances of a row to all lanes into `square`.

    Returns whether any may be below `limit`; where none is, the squares are not complete.
    """
    for k in range(LANES):
        square[k] = 0.0
    p = len(row)
    for j in range(0, p, STRIDE):
        x, y, z, w = row[j], row[j + 1], row[j + 2], row[j + 3]
        near = 0
        for k in range(LANES):
            a, b = lanes[j, k] - x, lanes[j + 1, k] - y
            c, d = lanes[j + 2, k] - z, lanes[j + 3, k] - w
            square[k] += (a * a + b * b) + (c * c + d * d)
        for k in range(LANES):
            near += square[k] < limit
        if not near:
            return False
    return True


@kernel
def _search_leaf(
    rows, fold, skip, first, end, low, high, lanes, radius, counting, best, count, bound, square
):
    """Compare the rows of a leaf, and return the largest of `best`."""
    for i in range(first, end):
        if fold[i] == skip:
            continue
        row = rows[i]
        limit = max(bound, radius) if counting else bound
        near = 0.0  # to the box of the group, along the widest coordinates
        for j in range(min(_WIDEST, len(row))):
            gap = max(0.0, max(low[j] - row[j], row[j] - high[j]))
            near += gap * gap
        if near >= limit or not _compare(lanes, row, square, limit):
            continue
        if counting:
            for k in range(LANES):
                count[k] += square[k] < radius
        better = 0
        for k in range(LANES):
            better += square[k] < best[k]
        if better:
            bound = 0.0
            for k in range(LANES):
                best[k] = min(best[k], square[k])
                bound = max(bound, best[k])
    return bound


@kernel
def search_groups(rows, fold, skip, tree, queries, order, groups, corners, radius, nearest, counts):
    """Find the nearest row of each query, and count the rows within a radius.

    Parameters
    ----------
    rows : (n, p)
        In the order of the tree.
    fold : (n,) int64
        Rows whose fold is `skip` are passed over, and then nothing is counted.
    tree : (start, stop, lower, upper)
        Of the rows.
    queries, order : (m, p), (m,)
    groups : (g, 2)
        Ranges of `order`, at most `LANES` queries each.
    corners : (g, 2, p)
        Of the groups.
    radius : float
        Square of the radius; below 0 nothing is counted.
    nearest, counts : (m,)
        Results: square of the distance; number of rows whose square is below `radius`.
    """
    start, stop, lower, upper = tree
    p = rows.shape[1]
    inner = len(start) // 2
    lanes = np.empty((p, LANES))
    best = np.empty(LANES)
    count = np.empty(LANES, np.int64)
    square = np.empty(LANES)
    waiting = np.empty(_DEPTH, np.int64)
    closest = np.empty(_DEPTH)
    is_counted = np.empty(_DEPTH, np.bool_)
    for g in range(len(groups)):
        first, end = groups[g]
        for k in range(LANES):  # a group that is not full repeats its last query
            query = queries[order[min(first + k, end - 1)]]
            for j in range(p):
                lanes[j, k] = query[j]
            best[k], count[k] = np.inf, 0
        low, high = corners[g]
        everyone, bound = 0, np.inf
        waiting[0], is_counted[0], closest[0] = 0, radius < 0, 0.0
        top = 1
        while top:
            top -= 1
            node, counted, near = waiting[top], is_counted[top], closest[top]
            if near >= bound and (counted or near >= radius):
                continue
            if node >= inner:
                bound = _search_leaf(
                    rows,
                    fold,
                    skip,
                    start[node],
                    stop[node],
                    low,
                    high,
                    lanes,
                    radius,
                    not counted,
                    best,
                    count,
                    bound,
                    square,
                )
                continue
            child = 2 * node + 1
            near_a, far_a = _between(low, high, lower[child], upper[child])
            near_b, far_b = _between(low, high, lower[child + 1], upper[child + 1])
            all_a, all_b = counted, counted
            if not counted and far_a < radius:
                everyone += stop[child] - start[child]
                all_a = True
            if not counted and far_b < radius:
                everyone += stop[child + 1] - start[child + 1]
                all_b = True
            a, b = child, child + 1
            if near_a > near_b or (near_a == near_b and far_a > far_b):
                a, b, near_a, near_b, all_a, all_b = b, a, near_b, near_a, all_b, all_a
            waiting[top], is_counted[top], closest[top] = b, all_b, near_b
            waiting[top + 1], is_counted[top + 1], closest[top + 1] = a, all_a, near_a
            top += 2
        for k in range(end - first):
            query_at = order[first + k]
            nearest[query_at] = best[k]
            counts[query_at] = count[k] + everyone
