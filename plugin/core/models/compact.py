"""A forest laid out for the compiled engine: small nodes, and rows beside their leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .forest import LEAF, Forest

BINS = 512
"""Bins of equally many ranks of the target in the histogram of a pixel."""
COUNT_BITS = 7
"""Lower bits of an entry's code: how often the row was drawn. The bin stands above them."""
PER_WORD = 4
"""Entries in a word of codes."""
LENGTH_BITS = 24
"""Lower bits of a leaf's fourth word: how many words of codes follow."""

_HEADER = 4
_WORD_BITS = 32


@dataclass(frozen=True, eq=False)
class CompactForest:
    """The arrays that the compiled engine walks through.

    A node takes eight bytes: a threshold and a word of four bytes each. The two children of a node
    stand side by side, left before right; the word's upper bits are the covariate, its lower
    `shift` bits the place of the left child in the tree. In a leaf the upper bits are the number of
    covariates and the lower ones the place of the leaf in the tree's part of the stream.

    Attributes
    ----------
    nodes : (nodes,) uint64
        Words in the upper halves; in the lower ones the `sort_keys` of the thresholds. The largest
        float32 number not above a threshold makes the same decisions for every float32 value.
    shift : int
    node_base, leaf_base : (B,) int64
        Where the nodes of a tree and its leaves in the stream start; the root is the first node.
    stream : (words,) uint64
        The leaves, one after the other. A leaf starts with four words: mean, variance and number
        of its draws (float64), and where its ranks start, times 2**24, with the number of the words
        of codes that follow. Such a word has four entries of 16 bits: the bin of a row's rank, and
        how often it was drawn. A row drawn more often than fits takes several entries; a leaf's
        last word is filled up with entries that are never drawn.
    moments : (words,) float64
        The same memory.
    rank : (entries,) int32
        Rank of the target of each entry's row; four for each word of codes.
    y : (n,) float64
        Targets, ascending.
    widest : int
        Most words of codes that the leaves of one pixel can have.
    """

    nodes: np.ndarray
    shift: int
    node_base: np.ndarray
    leaf_base: np.ndarray
    stream: np.ndarray
    moments: np.ndarray
    rank: np.ndarray
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
    words_start, codes, rank, y = _lay_out_rows(forest, leaves)
    words = np.diff(words_start)
    place = np.concatenate([[0], np.cumsum(_HEADER + words)])
    stream = np.zeros(place[-1], dtype=np.uint64)
    moments = stream.view(np.float64)
    at = place[:-1]
    moments[at] = forest.value[leaves]
    moments[at + 1] = forest.variance[leaves]
    moments[at + 2] = forest.count[leaves]
    stream[at + 3] = (words_start[:-1] << LENGTH_BITS) | words
    stream[np.repeat(at + _HEADER - words_start[:-1], words) + np.arange(len(codes))] = codes
    first = forest.tree_start[:-1]
    leaves_before = np.cumsum(leaf) - leaf
    leaf_base = place[leaves_before[first]]
    shift = _WORD_BITS - int(forest.features).bit_length()
    largest = max(np.diff(forest.tree_start).max(), np.diff(np.append(leaf_base, place[-1])).max())
    if int(largest) >= 1 << shift or int(words.max()) >= 1 << LENGTH_BITS:
        return None
    lower = np.zeros(len(leaf), dtype=np.int64)
    lower[leaves] = at - np.repeat(leaf_base, np.diff(forest.tree_start))[leaves]
    nodes = _lay_out_nodes(forest, lower, shift)
    length = np.zeros(len(leaf), dtype=np.int64)
    length[leaves] = words
    return CompactForest(
        nodes=nodes,
        shift=shift,
        node_base=first.astype(np.int64),
        leaf_base=leaf_base.astype(np.int64),
        stream=stream,
        moments=moments,
        rank=rank,
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
    lower[inner] = pair
    upper = np.where(leaf, forest.features, forest.feature).astype(np.int64)
    words = (upper << shift) | lower
    nodes = np.empty(len(leaf), dtype=np.uint64)
    nodes[place] = words.astype(np.uint64) << np.uint64(32) | sort_keys(forest.table.threshold)
    return nodes


def _lay_out_rows(
    forest: Forest, leaves: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return where the leaves' words start, the words, their entries' ranks, ascending targets."""
    store = forest.store
    if store is None:
        nothing = np.zeros(len(leaves) + 1, dtype=np.int64)
        return nothing, np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0)
    rank_of = np.empty(len(store.order), dtype=np.int32)
    rank_of[store.order] = np.arange(len(store.order), dtype=np.int32)
    start = store.start[np.append(leaves, len(store.start) - 1)]
    rank, count, start = _split_counts(rank_of[store.row], store.count, start)
    sizes = np.diff(start)
    words = -(-sizes // PER_WORD)
    words_start = np.concatenate([[0], np.cumsum(words)])
    shift = np.repeat(PER_WORD * words_start[:-1] - start[:-1], sizes)
    place = np.arange(len(rank)) + shift
    last = np.repeat(start[1:] - 1, PER_WORD * words)
    padded = rank[last]
    padded[place] = rank
    drawn = np.zeros(len(padded), dtype=np.int64)
    drawn[place] = count
    codes = ((padded.astype(np.int64) * BINS // len(store.y)) << COUNT_BITS | drawn).astype("u2")
    parts = codes.reshape(-1, PER_WORD).astype(np.uint64)
    joined = np.zeros(len(parts), dtype=np.uint64)
    for j in range(PER_WORD):
        joined |= parts[:, j] << np.uint64(16 * j)
    return words_start, joined, padded, store.y[store.order]


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
