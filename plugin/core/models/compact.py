"""A forest laid out for the compiled engine: small nodes, and rows beside their leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .forest import LEAF, Forest

BINS = 512
"""Most bins in the histogram of a pixel; each holds the same number of ranks, a power of two."""
COUNT_BITS = 7
"""Lower bits of an entry: how often the row was drawn. Its rank stands above them."""
PER_WORD = 2
"""Entries in a word."""
HEADER = 4
"""Words before a leaf's entries."""
AHEAD = 10
"""A word so far behind a leaf's first lies in the next line of the processor's cache."""

_RANK_BITS = 32 - COUNT_BITS
_WORD_BITS = 32


@dataclass(frozen=True, eq=False)
class CompactForest:
    """The arrays that the compiled engine walks through.

    A node takes eight bytes: a threshold and a word of four bytes each. The two children of a node
    stand side by side, left before right; the word's upper bits are the covariate, its lower
    `shift` bits the place of the left child in the tree. A leaf has the number of covariates in its
    upper bits and its own place in the lower ones, so that whoever stands in it stays there; in
    place of the threshold it has its place in the tree's part of the stream.

    Attributes
    ----------
    nodes : (nodes,) uint64
        Words in the upper halves; in the lower ones the `sort_keys` of the thresholds. The largest
        float32 number not above a threshold makes the same decisions for every float32 value.
    shift : int
    node_base, leaf_base : (B,) int64
        Where the nodes of a tree and its leaves in the stream start; the root is the first node.
    stream : (words,) uint64
        The leaves, one after the other, and `AHEAD` words of nothing. A leaf starts with four
        words: mean, variance and number of its draws (float64), and how many words of entries
        follow. An entry takes 32 bits: the rank of a row's target, and how often it was drawn. A
        row drawn more often than fits takes several entries; a leaf's last word is filled up with
        one that is never drawn.
    moments : (words,) float64
        The same memory.
    bin_bits : int
        The bin of a rank is the rank shifted down by so many bits.
    y : (n,) float64
        Targets, ascending.
    widest : int
        Most words of entries that the leaves of one pixel can have.
    """

    nodes: np.ndarray
    shift: int
    node_base: np.ndarray
    leaf_base: np.ndarray
    stream: np.ndarray
    moments: np.ndarray
    bin_bits: int
    y: np.ndarray
    widest: int


def sort_keys(values: np.ndarray) -> np.ndarray:
    """Return uint32 numbers in the order of the float32 `values`, equal where these are."""
    bits = (values + np.float32(0)).view(np.int32)  # -0 becomes 0
    return (bits ^ ((bits >> 31) | np.int32(-(2**31)))).view(np.uint32)


def compact_forest(forest: Forest) -> CompactForest | None:
    """Lay out a forest; None where a covariate and a place do not fit into one word."""
    leaf = forest.feature == LEAF
    leaves = np.flatnonzero(leaf)
    words_start, entries, y = _lay_out_rows(forest, leaves)
    words = np.diff(words_start)
    place = np.concatenate([[0], np.cumsum(HEADER + words)])
    stream = np.zeros(place[-1] + AHEAD, dtype=np.uint64)
    moments = stream.view(np.float64)
    at = place[:-1]
    moments[at] = forest.value[leaves]
    moments[at + 1] = forest.variance[leaves]
    moments[at + 2] = forest.count[leaves]
    stream[at + 3] = words
    stream[np.repeat(at + HEADER - words_start[:-1], words) + np.arange(len(entries))] = entries
    first = forest.tree_start[:-1]
    leaves_before = np.cumsum(leaf) - leaf
    leaf_base = place[leaves_before[first]]
    shift = _WORD_BITS - int(forest.features).bit_length()
    if (
        np.diff(forest.tree_start).max() >= 1 << shift
        or np.diff(np.append(leaf_base, place[-1])).max() >= 1 << _WORD_BITS
        or len(y) > 1 << _RANK_BITS
    ):
        return None
    lower = np.zeros(len(leaf), dtype=np.int64)
    lower[leaves] = at - np.repeat(leaf_base, np.diff(forest.tree_start))[leaves]
    length = np.zeros(len(leaf), dtype=np.int64)
    length[leaves] = words
    return CompactForest(
        nodes=_lay_out_nodes(forest, lower, shift),
        shift=shift,
        node_base=first.astype(np.int64),
        leaf_base=leaf_base.astype(np.int64),
        stream=stream,
        moments=moments,
        bin_bits=max(0, (len(y) - 1).bit_length() - (BINS - 1).bit_length()),
        y=y,
        widest=int(np.maximum.reduceat(length, first).sum()),
    )


def _lay_out_nodes(forest: Forest, lower: np.ndarray, shift: int) -> np.ndarray:
    """Put the children of a tree's k-th inner node at the places 2k + 1 and 2k + 2 of the tree.

    `lower` holds the lower bits of the leaves' words.
    """
    leaf = forest.feature == LEAF
    first = np.repeat(forest.tree_start[:-1], np.diff(forest.tree_start))
    inner_before = np.cumsum(~leaf) - ~leaf
    inner = np.flatnonzero(~leaf)
    pair = 2 * (inner_before - inner_before[first])[inner] + 1
    place = first.copy()  # right for the roots
    place[forest.left[inner]] = first[inner] + pair
    place[forest.right[inner]] = first[inner] + pair + 1
    upper = np.where(leaf, forest.features, forest.feature).astype(np.int64)
    pointer = place - first
    pointer[inner] = pair
    words = ((upper << shift) | pointer).astype(np.uint64) << np.uint64(32)
    nodes = np.empty(len(leaf), dtype=np.uint64)
    low = sort_keys(forest.table.threshold)
    low[leaf] = lower[leaf]
    nodes[place] = words | low
    return nodes


def _lay_out_rows(forest: Forest, leaves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the leaves' words start, the words, and the ascending targets."""
    store = forest.store
    if store is None:
        return np.zeros(len(leaves) + 1, dtype=np.int64), np.zeros(0, np.uint64), np.zeros(0)
    rank_of = np.empty(len(store.order), dtype=np.int32)
    rank_of[store.order] = np.arange(len(store.order), dtype=np.int32)
    start = store.start[np.append(leaves, len(store.start) - 1)]
    rank, count, start = _split_counts(rank_of[store.row], store.count, start)
    sizes = np.diff(start)
    words = -(-sizes // PER_WORD)
    words_start = np.concatenate([[0], np.cumsum(words)])
    last = np.repeat(start[1:] - 1, PER_WORD * words)
    entries = rank[last].astype("<u4") << np.uint32(COUNT_BITS)
    place = np.arange(len(rank)) + np.repeat(PER_WORD * words_start[:-1] - start[:-1], sizes)
    entries[place] = rank.astype(np.uint32) << np.uint32(COUNT_BITS) | count.astype(np.uint32)
    return words_start, entries.view("<u8").astype(np.uint64), store.y[store.order]


def _split_counts(
    rank: np.ndarray, count: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spread counts that do not fit into an entry over several."""
    most = (1 << COUNT_BITS) - 1
    if int(count.max(initial=0)) <= most:
        return rank, count, start
    parts = -(-count.astype(np.int64) // most)
    ends = np.cumsum(parts)
    spread = np.full(int(ends[-1]), most, dtype=np.int64)
    spread[ends - 1] = count - (parts - 1) * most
    return np.repeat(rank, parts), spread, np.concatenate([[0], ends])[start]
