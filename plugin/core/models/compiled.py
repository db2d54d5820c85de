"""The compiled engine's kernels: one pass over pixels, trees outside, for every statistic.

Imported by :mod:`.engine` only, where numba is installed. The kernels hold no lock of Python's and
start no threads: callers share pixels out among threads of their own.
"""

from __future__ import annotations

import numpy as np
from numba.core.errors import NumbaError

from .compact import BINS, COUNT_BITS, LENGTH_BITS, PER_WORD
from .kernel_cache import kernel

__all__ = ["NumbaError", "predict_compiled"]

PIXELS = 256  # walked through a tree together: few enough for the processor's cache
_FEWEST = 16  # where leaves are very large
_WORDS = 1 << 17  # of codes, held for the pixels under way
_GROUP = 16  # bins added up at a time
_GROUPS = BINS // _GROUP
_COUNT = (1 << COUNT_BITS) - 1
_LENGTH = (1 << LENGTH_BITS) - 1
_EPSILON = float(np.finfo(np.float64).eps)


@kernel
def _walk(nodes, shift, code_of_leaf, base, keys, leaf, node, row, active):
    """Take all rows of `keys` down one tree, level by level; `leaf` gets their leaves."""
    upper = np.uint64(32 + shift)
    lower = np.uint64((1 << shift) - 1)
    first, word = np.uint64(base), np.uint64(32)
    root = nodes[first]
    left, features = keys.shape
    if root >> upper == code_of_leaf:
        leaf[:left] = (root >> word) & lower
        return
    values = keys.reshape(-1)
    for i in range(left):
        active[i] = i
        row[i] = i * features
        node[i] = root
    while left > 0:
        kept = 0
        for j in range(left):
            here, start, i = node[j], row[j], active[j]
            right = np.uint64(values[start + (here >> upper)] > np.uint32(here))
            there = nodes[first + ((here >> word) & lower) + right]
            leaf[i] = (there >> word) & lower
            node[kept] = there
            row[kept] = start
            active[kept] = i
            kept += there >> upper != code_of_leaf
        left = kept


@kernel
def _sort(keys, length):
    """Sort the first keys in place (Shell's method: mostly there are few)."""
    gap = 1
    while gap < length // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, length):
            key = keys[i]
            j = i
            while j >= gap and keys[j - gap] > key:
                keys[j] = keys[j - gap]
                j -= gap
            keys[j] = key
        gap //= 3


@kernel
def _key(rank, source, k):
    """Return a number that sorts entry k of a pixel by its rank, then by its tree."""
    entry = PER_WORD * source[k // PER_WORD] + k % PER_WORD
    return (np.int64(rank[entry]) << 32) | k


@kernel
def _count(words, k):
    return (np.int64(words[k // PER_WORD]) >> (16 * (k % PER_WORD))) & _COUNT


@kernel
def _quantile_by_sorting(level, words, source, share, rank, y, length, keys):
    """Return a quantile by the arithmetic of quantile-forest, addition by addition."""
    length = PER_WORD * length
    kept = 0
    for k in range(length):
        if _count(words, k) > 0:
            keys[kept] = _key(rank, source, k)
            kept += 1
    length = kept
    _sort(keys, length)
    span, wanted = 0.0, np.inf
    floor = 0
    for _attempt in range(2):  # the first time only for the total
        cumulated, weight = 0.0, 0.0
        reached, floor, below = 0, 0, 0.0
        k = 0
        while k < length:
            place = keys[k] >> 32
            weight = 0.0
            while k < length and keys[k] >> 32 == place:
                member = keys[k] & 0xFFFFFFFF
                for _ in range(_count(words, member)):
                    weight += share[member // PER_WORD]
                k += 1
            cumulated += weight
            if cumulated > wanted:
                if reached == 0:
                    return y[place]
                low = min(level, (below - 1.0) / span)
                high = max(level, (cumulated - 1.0) / span)
                high = low + (high - low) / weight
                part = (level - low) / (high - low)
                if level >= high or part >= 1:
                    return y[place]
                return y[floor] + max(part, 0.0) * (y[place] - y[floor])
            reached += 1
            floor, below = place, cumulated
        span = (cumulated + 1.0) - 2.0
        wanted = level * span + 1.0
    return y[floor]


@kernel
def _gather(stream, moments, leaf, base, b, many, mean, variance, size, source, words, filled, end):
    """Note what one tree's leaves hold, and append their words to those of each pixel."""
    for i in range(many):
        here = np.int64(leaf[i]) + base
        mean[b, i] = moments[here]
        variance[b, i] = moments[here + 1]
        size[b, i] = moments[here + 2]
        header = np.int64(stream[here + 3])
        source[b, i] = header >> LENGTH_BITS
        place = filled[i]
        for k in range(header & _LENGTH):
            words[i, place + k] = stream[here + 4 + k]
        place += header & _LENGTH
        filled[i] = place
        end[b, i] = place


@kernel
def _moments(mean, variance, i):
    trees = len(mean)
    total = 0.0
    for b in range(trees):
        total += mean[b, i]
    centre = total / trees
    square = 0.0
    for b in range(trees):
        square += variance[b, i] + (mean[b, i] - centre) ** 2
    return centre, np.sqrt(square / trees)


@kernel
def _fill_histogram(size, source, end, i, words, histogram, share, origin):
    """Add a pixel's entries to its histogram, weights scaled to the draws in the leaves.

    `share` gets the weight of a draw, `origin` the place among all words, word by word.
    """
    trees = len(size)
    total = 0.0
    for b in range(trees):
        total += size[b, i]
    histogram[:] = 0.0
    w = 0
    for b in range(trees):
        part = 1.0 / size[b, i] * total / trees
        shift = source[b, i] - w
        while w < end[b, i]:
            four = words[w]
            share[w] = part
            origin[w] = shift + w
            for j in range(PER_WORD):
                code = np.uint64(four >> np.uint64(16 * j)) & np.uint64(0xFFFF)
                draws = np.float64(np.int64(code & np.uint64(_COUNT)))
                histogram[code >> np.uint64(COUNT_BITS)] += draws * part
            w += 1
    return w


@kernel
def _find_hits(words, length, flag, hits):
    """List the entries whose bin is flagged; return their number."""
    found = 0
    for w in range(length):
        four = words[w]
        a = flag[(four >> np.uint64(COUNT_BITS)) & np.uint64(BINS - 1)]
        b = flag[(four >> np.uint64(16 + COUNT_BITS)) & np.uint64(BINS - 1)]
        c = flag[(four >> np.uint64(32 + COUNT_BITS)) & np.uint64(BINS - 1)]
        d = flag[four >> np.uint64(48 + COUNT_BITS)]
        if a | b | c | d:
            hits[found] = PER_WORD * w
            found += a
            hits[found] = PER_WORD * w + 1
            found += b
            hits[found] = PER_WORD * w + 2
            found += c
            hits[found] = PER_WORD * w + 3
            found += d
    return found


@kernel
def _find_bins(histogram, groups, levels, wanted, below, target, before, flag):
    """Find, for each level, the bin in which the cumulated weight passes it.

    `below` gets the weight before that bin, `before` the last bin before it that is not empty.
    Returns the total weight.
    """
    total = 0.0
    for g in range(_GROUPS):
        partial = 0.0
        for j in range(g * _GROUP, (g + 1) * _GROUP):
            partial += histogram[j]
        groups[g] = partial
        total += partial
    for q in range(len(levels)):
        limit = levels[q] * ((total + 1.0) - 2.0) + 1.0
        reached = 0.0
        g = 0
        while g < _GROUPS - 1 and reached + groups[g] <= limit:
            reached += groups[g]
            g += 1
        j = g * _GROUP
        while j < BINS - 1 and reached + histogram[j] <= limit:
            reached += histogram[j]
            j += 1
        earlier = j - 1
        while earlier >= 0 and histogram[earlier] == 0.0:
            earlier -= 1
        wanted[q], below[q], target[q], before[q] = limit, reached, j, earlier
        flag[j] = 1
        if earlier >= 0:
            flag[earlier] = 1
    return total


@kernel
def _refine(
    wanted, below, target, before, tolerance, words, source, share, rank, y, hits, found, keys
):
    """Return a quantile from the entries of its bin, NaN where rounding might decide it."""
    floor = np.int64(-1)
    inside = 0
    for h in range(found):
        k = hits[h]
        bin_ = (words[k // PER_WORD] >> np.uint64(16 * (k % PER_WORD) + COUNT_BITS)) & np.uint64(
            BINS - 1
        )
        if bin_ == target:
            keys[inside] = _key(rank, source, k)
            inside += 1
        elif bin_ == before:
            floor = max(floor, _key(rank, source, k) >> 32)
    _sort(keys, inside)
    reached = below
    j = 0
    while j < inside:
        place = keys[j] >> 32
        upper = reached
        while j < inside and keys[j] >> 32 == place:
            k = keys[j] & 0xFFFFFFFF
            upper += share[k // PER_WORD] * _count(words, k)
            j += 1
        if upper > wanted:
            if upper - wanted <= tolerance or wanted - reached <= tolerance:
                return np.nan
            part = wanted - reached
            if floor < 0 or part >= 1.0:
                return y[place]
            return y[floor] + part * (y[place] - y[floor])
        reached = upper
        floor = place
    return np.nan


@kernel
def predict_compiled(
    nodes, shift, node_base, leaf_base, stream, moments, rank, y, widest,
    keys_of, levels, mean, sd, quantiles,
):  # fmt: skip
    """Fill mean (m,), sd (m,) and quantiles (m, k) for the rows of `keys_of`, (m, p) uint32."""
    trees, k_levels = len(node_base), len(levels)
    wide = widest if k_levels > 0 else 0
    pixels = max(_FEWEST, min(PIXELS, _WORDS // (wide + 1)))
    code_of_leaf = np.uint64(keys_of.shape[1])
    leaf, node = np.empty(pixels, np.uint64), np.empty(pixels, np.uint64)
    active, filled = np.empty(pixels, np.uint64), np.empty(pixels, np.int64)
    row = np.empty(pixels, np.uint64)
    means, variances = np.empty((trees, pixels)), np.empty((trees, pixels))
    sizes = np.empty((trees, pixels))
    sources, ends = np.empty((trees, pixels), np.int64), np.empty((trees, pixels), np.int64)
    words = np.empty((pixels, wide + 1), np.uint64)
    histogram, groups, flag = np.empty(BINS), np.empty(_GROUPS), np.zeros(BINS, np.uint8)
    wanted, below = np.empty(k_levels), np.empty(k_levels)
    target, before = np.empty(k_levels, np.int64), np.empty(k_levels, np.int64)
    share, origin = np.empty(wide + 1), np.empty(wide + 1, np.int64)
    hits = np.empty(PER_WORD * wide + 1, np.int64)
    keys = np.empty(PER_WORD * wide + 1, np.int64)
    for begin in range(0, len(keys_of), pixels):
        many = min(pixels, len(keys_of) - begin)
        filled[:] = 0
        for b in range(trees):
            _walk(
                nodes, shift, code_of_leaf, node_base[b], keys_of[begin : begin + many],
                leaf, node, row, active,
            )  # fmt: skip
            if k_levels > 0:
                _gather(
                    stream, moments, leaf, leaf_base[b], b, many, means, variances, sizes,
                    sources, words, filled, ends,
                )  # fmt: skip
            else:
                for i in range(many):
                    means[b, i] = moments[np.int64(leaf[i]) + leaf_base[b]]
                    variances[b, i] = moments[np.int64(leaf[i]) + leaf_base[b] + 1]
        for i in range(many):
            mean[begin + i], sd[begin + i] = _moments(means, variances, i)
            if k_levels == 0:
                continue
            own = words[i]
            length = _fill_histogram(sizes, sources, ends, i, own, histogram, share, origin)
            total = _find_bins(histogram, groups, levels, wanted, below, target, before, flag)
            found = _find_hits(own, length, flag, hits)
            tolerance = 4 * _EPSILON * (PER_WORD * length + BINS) * total
            for q in range(k_levels):
                flag[target[q]] = 0
                flag[max(before[q], 0)] = 0
            for q in range(k_levels):
                result = _refine(
                    wanted[q], below[q], target[q], before[q], tolerance, own, origin, share,
                    rank, y, hits, found, keys,
                )  # fmt: skip
                if np.isnan(result):
                    result = _quantile_by_sorting(
                        levels[q], own, origin, share, rank, y, length, keys
                    )
                quantiles[begin + i, q] = result
