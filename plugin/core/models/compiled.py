"""The compiled engine's kernels: one pass over pixels, trees outside, for every statistic.

Imported by :mod:`.engine` only, where numba is installed. The kernels hold no lock of Python's and
start no threads: callers share pixels out among threads of their own.
"""

from __future__ import annotations

import numpy as np
from numba.core.errors import NumbaError

from ..kernel_cache import kernel
from .compact import AHEAD, BINS, COUNT_BITS, HEADER, PER_WORD

__all__ = ["NumbaError", "predict_compiled"]

PIXELS = 64  # taken down one tree after the other: few enough for the cache to keep their leaves
_LANES = 8
_GROUP = 16  # bins added up at a time
_GROUPS = BINS // _GROUP
_COUNT = np.uint64((1 << COUNT_BITS) - 1)
_ENTRY = np.uint64(0xFFFFFFFF)
_EPSILON = float(np.finfo(np.float64).eps)


@kernel
def _next(nodes, first, upper, lower, values, row, here):
    """Return the child of a node that a pixel goes to; a leaf's is the leaf itself."""
    right = np.uint64(values[row + (here >> upper)] > np.uint32(here))
    return nodes[first + ((here >> np.uint64(32)) & lower) + right]


@kernel
def _walk(nodes, shift, code_of_leaf, base, keys, leaf, many):
    """Take pixels down one tree, eight at a time, so that their steps overlap."""
    upper = np.uint64(32 + shift)
    lower = np.uint64((1 << shift) - 1)
    first = np.uint64(base)
    values = keys.reshape(-1)
    width = np.uint64(keys.shape[1])
    root = nodes[first]
    for i in range(0, many, _LANES):
        r0 = np.uint64(i) * width
        r1 = r0 + width
        r2 = r1 + width
        r3 = r2 + width
        r4 = r3 + width
        r5 = r4 + width
        r6 = r5 + width
        r7 = r6 + width
        a = b = c = d = e = f = g = h = root
        while (a & b & c & d & e & f & g & h) >> upper != code_of_leaf:
            a = _next(nodes, first, upper, lower, values, r0, a)
            b = _next(nodes, first, upper, lower, values, r1, b)
            c = _next(nodes, first, upper, lower, values, r2, c)
            d = _next(nodes, first, upper, lower, values, r3, d)
            e = _next(nodes, first, upper, lower, values, r4, e)
            f = _next(nodes, first, upper, lower, values, r5, f)
            g = _next(nodes, first, upper, lower, values, r6, g)
            h = _next(nodes, first, upper, lower, values, r7, h)
        leaf[i] = np.uint32(a)
        leaf[i + 1] = np.uint32(b)
        leaf[i + 2] = np.uint32(c)
        leaf[i + 3] = np.uint32(d)
        leaf[i + 4] = np.uint32(e)
        leaf[i + 5] = np.uint32(f)
        leaf[i + 6] = np.uint32(g)
        leaf[i + 7] = np.uint32(h)


@kernel
def _gather(stream, leaf, base, b, many, at, touched):
    """Note where the leaves of one tree stand, and call them into the cache."""
    for i in range(many):
        place = np.int64(leaf[i]) + base
        at[b, i] = place
        touched[0] ^= stream[place] ^ stream[place + AHEAD]


@kernel
def _moments(moments, at, i, weighted):
    """Return mean and standard deviation of a pixel's distribution."""
    trees = len(at)
    total, draws = 0.0, 0.0
    for b in range(trees):
        weight = 1.0 if weighted else moments[at[b, i] + 2]
        total += weight * moments[at[b, i]]
        draws += weight
    mean = total / draws
    square = 0.0
    for b in range(trees):
        weight = 1.0 if weighted else moments[at[b, i] + 2]
        square += weight * (moments[at[b, i] + 1] + (moments[at[b, i]] - mean) ** 2)
    return mean, np.sqrt(square / draws)


@kernel
def _fill_histogram(
    stream, moments, at, i, bin_bits, unit, weighted, histogram, last, link, tree, shift, weight
):
    """Add a pixel's draws to its histogram, each with its weight in whole numbers.

    Entry k of a pixel's leaves is half of their word k / 2. Entries of one bin form a chain: `last`
    gets the bin's last entry, `link` the entry before each, both with -1 for none. `tree` gets the
    tree of each word, `shift` what leads from a word's number to its place in the stream, `weight`
    that of a draw in each tree's leaf. Returns the numbers of draws and words.
    """
    one, two, three, head = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(HEADER)
    to_bin, half = np.uint64(bin_bits + COUNT_BITS), np.uint64(32)
    histogram[:] = 0
    last[:] = -1
    draws = 0.0
    w, k = np.uint64(0), np.uint64(0)  # unsigned: no test for indices from the end
    for b in range(len(at)):
        v = np.uint64(at[b, i])
        size = moments[v + two]
        draws += size
        share = np.uint64(unit / size) if weighted else one
        stop = v + head + stream[v + three]
        v += head
        shift[b], weight[b] = v - w, share
        while v < stop:
            word = stream[v]
            tree[w] = b
            place = (word & _ENTRY) >> to_bin
            histogram[place] += (word & _COUNT) * share
            link[k] = last[place]
            last[place] = k
            word >>= half
            place = word >> to_bin
            histogram[place] += (word & _COUNT) * share
            link[k + one] = last[place]
            last[place] = k + one
            v += one
            w += one
            k += two
    return draws, np.int64(w)


@kernel
def _entry(stream, tree, shift, k):
    """Return the tree of an entry, the rank of its row, and how often it was drawn."""
    number = np.uint64(k)
    word = number >> np.uint64(1)
    b = np.uint64(tree[word])
    entry = stream[np.uint64(shift[b]) + word] >> (np.uint64(32) * (number & np.uint64(1)))
    return b, np.int64((entry & _ENTRY) >> np.uint64(COUNT_BITS)), entry & _COUNT


@kernel
def _find_bins(histogram, groups, levels, draws, wanted, below, target, before):
    """Find, for each level, the bin in which the cumulated weight passes it.

    `wanted` gets the draws to reach, `below` those before that bin, `before` the last bin before it
    that is not empty. Returns the draws in a unit of weight.
    """
    total = np.uint64(0)
    for g in range(_GROUPS):
        partial = np.uint64(0)
        for j in range(g * _GROUP, (g + 1) * _GROUP):
            partial += histogram[j]
        groups[g] = partial
        total += partial
    per_unit = draws / np.float64(total)
    for q in range(len(levels)):
        limit = levels[q] * ((draws + 1.0) - 2.0) + 1.0
        most = np.uint64(limit / per_unit)
        reached = np.uint64(0)
        g = 0
        while g < _GROUPS - 1 and reached + groups[g] <= most:
            reached += groups[g]
            g += 1
        j = g * _GROUP
        while j < BINS - 1 and reached + histogram[j] <= most:
            reached += histogram[j]
            j += 1
        earlier = j - 1
        while earlier >= 0 and histogram[earlier] == 0:
            earlier -= 1
        wanted[q], below[q], target[q], before[q] = limit, reached * per_unit, j, earlier
    return per_unit


@kernel
def _refine(
    wanted, below, target, before, tolerance, per_unit, stream, y, last, link, tree, shift, weight,
    keys, weights,
):  # fmt: skip
    """Return a quantile from the entries of its bin, NaN where rounding might decide it."""
    inside = 0
    k = last[target]
    while k >= 0:
        b, key, draws = _entry(stream, tree, shift, k)
        j = inside
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            weights[j] = weights[j - 1]
            j -= 1
        keys[j] = key
        weights[j] = weight[b] * draws
        inside += 1
        k = link[k]
    floor = np.int64(-1)
    reached = below
    j = 0
    while j < inside:
        place = keys[j]
        total = np.uint64(0)
        while j < inside and keys[j] == place:
            total += weights[j]
            j += 1
        upper = reached + per_unit * total
        if upper > wanted:
            if upper - wanted <= tolerance or wanted - reached <= tolerance:
                return np.nan
            gap = wanted - reached
            if gap >= 1.0:
                return y[place]
            if floor < 0 and before >= 0:
                k = last[before]
                while k >= 0:
                    floor = max(floor, _entry(stream, tree, shift, k)[1])
                    k = link[k]
            if floor < 0:
                return y[place]
            return y[floor] + gap * (y[place] - y[floor])
        reached = upper
        floor = place
    return np.nan


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
def _list_entries(stream, moments, at, i, draws, words, weighted, tree, shift, keys, share):
    """List all entries that were drawn, ascending by rank, then by tree; return their number.

    `keys` gets rank and entry, `share` a draw's weight in each tree as quantile-forest computes it.
    """
    trees = len(at)
    for b in range(trees):
        share[b] = 1.0 / moments[at[b, i] + 2] * draws / trees if weighted else 1.0
    kept = 0
    for k in range(PER_WORD * words):
        _, place, count = _entry(stream, tree, shift, k)
        if count > 0:
            keys[kept] = (place << 32) | k
            kept += 1
    _sort(keys, kept)
    return kept


@kernel
def _quantile_by_sorting(level, stream, tree, shift, share, y, keys, length):
    """Return a quantile by the arithmetic of quantile-forest, addition by addition."""
    span, wanted = 0.0, np.inf
    floor = np.int64(0)
    for _attempt in range(2):  # the first time only for the total
        cumulated, weight = 0.0, 0.0
        reached, floor, below = 0, np.int64(0), 0.0
        k = 0
        while k < length:
            place = keys[k] >> 32
            weight = 0.0
            while k < length and keys[k] >> 32 == place:
                b, _, draws = _entry(stream, tree, shift, keys[k] & 0xFFFFFFFF)
                for _ in range(draws):
                    weight += share[b]
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
def predict_compiled(
    nodes, node_bits, node_base, leaf_base, stream, moments, bin_bits, y, widest,
    keys_of, levels, weighted, mean, sd, quantiles,
):  # fmt: skip
    """Fill mean (m,), sd (m,) and quantiles (m, k) for the rows of `keys_of`, (m, p) uint32."""
    trees, k_levels, features = len(node_base), len(levels), keys_of.shape[1]
    entries = PER_WORD * widest if k_levels > 0 else 0
    code_of_leaf = np.uint64(features)
    keys = np.zeros((PIXELS, features + 1), np.uint32)  # leaves compare with the last
    leaf, at = np.empty(PIXELS, np.uint32), np.empty((trees, PIXELS + _LANES), np.int64)
    histogram, groups = np.empty(BINS, np.uint64), np.empty(_GROUPS, np.uint64)
    last, link = np.empty(BINS, np.int32), np.empty(entries, np.int32)
    tree, shift = np.empty(entries // PER_WORD, np.int32), np.empty(trees, np.int64)
    weight, share = np.empty(trees, np.uint64), np.empty(trees)
    wanted, below = np.empty(k_levels), np.empty(k_levels)
    target, before = np.empty(k_levels, np.int64), np.empty(k_levels, np.int64)
    inside, weights = np.empty(entries, np.int64), np.empty(entries, np.uint64)
    touched = np.zeros(1, np.uint64)
    unit = 2.0 ** (62 - int(np.ceil(np.log2(trees))))
    for begin in range(0, len(keys_of), PIXELS):
        many = min(PIXELS, len(keys_of) - begin)
        keys[:many, :features] = keys_of[begin : begin + many]
        for b in range(trees):
            _walk(nodes, node_bits, code_of_leaf, node_base[b], keys, leaf, many)
            _gather(stream, leaf, leaf_base[b], b, many, at, touched)
        for i in range(many):
            mean[begin + i], sd[begin + i] = _moments(moments, at, i, weighted)
            if k_levels == 0:
                continue
            draws, words = _fill_histogram(
                stream, moments, at, i, bin_bits, unit, weighted, histogram, last, link, tree,
                shift, weight,
            )  # fmt: skip
            per_unit = _find_bins(histogram, groups, levels, draws, wanted, below, target, before)
            tolerance = 4 * _EPSILON * (PER_WORD * words + BINS) * draws
            for q in range(k_levels):
                result = _refine(
                    wanted[q], below[q], target[q], before[q], tolerance, per_unit, stream, y,
                    last, link, tree, shift, weight, inside, weights,
                )  # fmt: skip
                if np.isnan(result):
                    listed = _list_entries(
                        stream, moments, at, i, draws, words, weighted, tree, shift, inside, share
                    )
                    result = _quantile_by_sorting(
                        levels[q], stream, tree, shift, share, y, inside, listed
                    )
                quantiles[begin + i, q] = result
