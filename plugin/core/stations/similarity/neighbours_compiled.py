"""Compiled search among points: nearest distances and counts, for groups of queries at a time.

Imported by :mod:`.neighbours` only, where numba is installed. Rows that share their first
coordinates form a cell, as the days of a station do that share its terrain and soil; a tree halves
the rows cell by cell, then within each. Queries that lie close together form a group, which goes
down the tree as one box: a node is left out where no query of the group can find anything in it,
and counted as a whole where all of it lies within the radius of every query. In a cell the shared
coordinates are added up once. What remains is compared pair by pair, always in the same order of
coordinates, so that a result depends on the pair alone and not on the group.
"""

from __future__ import annotations

import numpy as np
from numba.core.errors import NumbaError

from ...kernel_cache import kernel

__all__ = ["LANES", "LEAF", "STRIDE", "NumbaError", "build_tree", "search_groups"]

LANES = 64  # queries of a group, side by side in the processor's registers
LEAF = 32  # rows of a leaf, compared with the box of a group side by side as well
STRIDE = 4  # coordinates added up between two looks at what is too far already


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
def _part(points, order, first, end, axis, value, same):
    """Put what is below `value` first, with `same` what equals it too; return where that ends."""
    middle = first
    for i in range(first, end):
        x = points[order[i], axis]
        if x < value or (same and x == value):
            order[i], order[middle] = order[middle], order[i]
            middle += 1
    return middle


@kernel
def _widest(low, high, first, end):
    """Return the coordinate from `first` on, before `end`, along which a box is longest."""
    axis = first
    for j in range(first, end):
        if high[j] - low[j] > high[axis] - low[axis]:
            axis = j
    return axis


@kernel
def build_tree(points, shared, leaf, order, left, start, stop, cell, depth, lower, upper):
    """Halve the points by their widest coordinate, level by level; return the number of nodes.

    Node i holds the points `order[start[i]:stop[i]]`, has the corners `lower[i]` and `upper[i]` and
    the children `left[i]` and the one behind it, or, where `left[i]` is -1, at most `leaf` points.
    `cell[i]` says whether the points lie in one cell.
    As long as the points of a node differ in their first `shared` coordinates, it is parted by one
    of these, and then never within a cell.
    """
    n, p = points.shape
    start[0], stop[0], depth[0] = 0, n, 0
    used = 1
    node = -1
    while node + 1 < used:
        node += 1
        first, end = start[node], stop[node]
        low, high = lower[node], upper[node]
        for j in range(p):
            low[j], high[j] = np.inf, -np.inf
        for i in range(first, end):
            for j in range(p):
                value = points[order[i], j]
                low[j] = min(low[j], value)
                high[j] = max(high[j], value)
        left[node] = -1
        axis = _widest(low, high, 0, shared)
        cell[node] = shared == 0 or high[axis] == low[axis]
        if not cell[node]:
            _select(points, order, first, end, (first + end) // 2, axis)
            value = points[order[(first + end) // 2], axis]
            middle = _part(points, order, first, end, axis, value, value == low[axis])
        elif end - first > leaf:
            axis = _widest(low, high, shared, p)
            middle = first + (end - first + 2 * leaf - 1) // (2 * leaf) * leaf  # full leaves
            _select(points, order, first, end, middle, axis)
        else:
            continue
        left[node] = used
        start[used], stop[used], depth[used] = first, middle, depth[node] + 1
        start[used + 1], stop[used + 1], depth[used + 1] = middle, end, depth[node] + 1
        used += 2
    return used


@kernel
def _between(a_low, a_high, b_low, b_high, first):
    """Return the smallest and the largest square of a distance between points of two boxes.

    Along the coordinates from `first` on.
    """
    near, far = 0.0, 0.0
    for j in range(first, len(a_low)):
        up, down = b_high[j] - a_low[j], a_high[j] - b_low[j]
        gap = max(0.0, max(-up, -down))
        reach = max(up, down)
        near += gap * gap
        far += reach * reach
    return near, far


@kernel
def _enter_cell(point, shared, lanes, sums):
    """Put the squares along the shared coordinates into `sums`; return the extremes."""
    for k in range(LANES):
        sums[k] = 0.0
    for j in range(0, shared, STRIDE):
        x, y, z, w = point[j], point[j + 1], point[j + 2], point[j + 3]
        for k in range(LANES):
            a, b = lanes[j, k] - x, lanes[j + 1, k] - y
            c, d = lanes[j + 2, k] - z, lanes[j + 3, k] - w
            sums[k] += (a * a + b * b) + (c * c + d * d)
    least, most = sums[0], sums[0]
    for k in range(LANES):
        least = min(least, sums[k])
        most = max(most, sums[k])
    return least, most


@kernel
def _compare(lanes, shared, leaf, i, sums, square, limit):
    """Put the squares of the distances of row `i` of a leaf to all lanes into `square`.

    Returns whether any may be below `limit`; where none is, the squares are not complete.
    """
    for k in range(LANES):
        square[k] = sums[k]
    for j in range(0, len(leaf), STRIDE):
        axis = shared + j
        x, y, z, w = leaf[j, i], leaf[j + 1, i], leaf[j + 2, i], leaf[j + 3, i]
        near = 0
        for k in range(LANES):
            a, b = lanes[axis, k] - x, lanes[axis + 1, k] - y
            c, d = lanes[axis + 2, k] - z, lanes[axis + 3, k] - w
            square[k] += (a * a + b * b) + (c * c + d * d)
        for k in range(LANES):
            near += square[k] < limit
        if not near:
            return False
    return True


@kernel
def _search_leaf(
    leaf, fold, skip, shared, low, high, lanes, sums, least, radius, counting, bound, found, work
):
    """Compare the rows of a leaf, and return the largest of the nearest squares."""
    best, count = found
    square, near = work
    rows = leaf.shape[1]
    for i in range(rows):
        near[i] = least
    for j in range(len(leaf)):  # to the box of the group
        for i in range(rows):
            gap = max(0.0, max(low[shared + j] - leaf[j, i], leaf[j, i] - high[shared + j]))
            near[i] += gap * gap
    for i in range(rows):
        limit = max(bound, radius) if counting else bound
        if near[i] >= limit or fold[i] == skip:
            continue
        if not _compare(lanes, shared, leaf, i, sums, square, limit):
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
def _put_children(
    tree, child, shared, low, high, least, most, radius, counted, inside, waiting, top
):
    """Let two children wait, the nearer one on top; return how many rows all lanes count there."""
    _, start, stop, _, lower, upper = tree
    nodes, are_counted, are_inside, closest = waiting
    axis = shared if inside else 0
    near_a, far_a = _between(low, high, lower[child], upper[child], axis)
    near_b, far_b = _between(low, high, lower[child + 1], upper[child + 1], axis)
    if inside:
        near_a, far_a = near_a + least, far_a + most
        near_b, far_b = near_b + least, far_b + most
    everyone = 0
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
    nodes[top], are_counted[top], are_inside[top], closest[top] = b, all_b, inside, near_b
    top += 1
    nodes[top], are_counted[top], are_inside[top], closest[top] = a, all_a, inside, near_a
    return everyone


@kernel
def _search_group(rows, fold, skip, shared, tree, corners, lanes, radius, found, work, waiting):
    """Find the nearest row of each lane, and count; return how many rows all lanes count."""
    left, start, stop, cell, lower, upper = tree
    nodes, are_counted, are_inside, closest = waiting
    sums, square, near_rows = work
    low, high = corners
    width = len(low) - shared
    everyone, bound, least, most = 0, np.inf, 0.0, 0.0
    nodes[0], are_counted[0], are_inside[0], closest[0] = 0, radius < 0, False, 0.0
    top = 1
    while top:
        top -= 1
        node, counted, inside, near = nodes[top], are_counted[top], are_inside[top], closest[top]
        if near >= bound and (counted or near >= radius):
            continue
        child = left[node]
        if cell[node] and not inside:
            inside = True
            least, most = _enter_cell(lower[node], shared, lanes, sums)
            near, far = _between(low, high, lower[node], upper[node], shared)
            near, far = near + least, far + most
            if near >= bound and (counted or near >= radius):
                continue
            if not counted and far < radius:
                counted = True
                everyone += stop[node] - start[node]
        if child < 0:
            first, end = start[node], stop[node]
            leaf = rows[first * width : end * width].reshape((width, end - first))
            bound = _search_leaf(
                leaf,
                fold[first:end],
                skip,
                shared,
                low,
                high,
                lanes,
                sums,
                least,
                radius,
                not counted,
                bound,
                found,
                (square, near_rows),
            )
            continue
        everyone += _put_children(
            tree, child, shared, low, high, least, most, radius, counted, inside, waiting, top
        )
        top += 2
    return everyone


@kernel
def search_groups(
    rows, fold, skip, shared, tree, depth, queries, order, groups, corners, radius, nearest, counts
):
    """Find the nearest row of each query, and count the rows within a radius.

    Parameters
    ----------
    rows : (n * (p - shared),)
        Leaf by leaf in the order of the tree: in each, the coordinates that are not shared, one
        after the other.
    fold : (n,) int64
        Rows whose fold is `skip` are passed over, and then nothing is counted.
    shared : int
        So many first coordinates are the same in all rows of a cell.
    tree : (left, start, stop, cell, lower, upper)
        Of the rows.
    depth : int
        Of that tree.
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
    p = queries.shape[1]
    lanes = np.empty((p, LANES))
    best, count = np.empty(LANES), np.empty(LANES, np.int64)
    work = (np.empty(LANES), np.empty(LANES), np.empty(LEAF))
    deep = depth + 2
    waiting = (
        np.empty(deep, np.int64),
        np.empty(deep, np.bool_),
        np.empty(deep, np.bool_),
        np.empty(deep),
    )
    for g in range(len(groups)):
        first, end = groups[g]
        for k in range(LANES):  # a group that is not full repeats its last query
            query = queries[order[min(first + k, end - 1)]]
            for j in range(p):
                lanes[j, k] = query[j]
            best[k], count[k] = np.inf, 0
        everyone = _search_group(
            rows,
            fold,
            skip,
            shared,
            tree,
            (corners[g, 0], corners[g, 1]),
            lanes,
            radius,
            (best, count),
            work,
            waiting,
        )
        for k in range(end - first):
            query_at = order[first + k]
            nearest[query_at] = best[k]
            counts[query_at] = count[k] + everyone
