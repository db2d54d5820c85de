"""Which leaf of each tree a row of covariates falls into."""

from __future__ import annotations

import numpy as np

from .forest import DecisionTable, Forest

_WALKERS = 100_000  # rows times trees under way together: few enough for the processor's cache
_LEVELS = 3  # walked before those that have arrived are set aside


def find_leaves(forest: Forest, X: np.ndarray) -> np.ndarray:
    """Return the leaves of the rows of `X`, one for each tree.

    Parameters
    ----------
    forest : Forest
    X : (m, p) float32 array
        Covariates without missing values.

    Returns
    -------
    (m, B) intp array
        Places in the forest's node arrays.
    """
    X = np.ascontiguousarray(X, dtype=np.float32)
    leaves = np.empty((len(X), forest.trees), dtype=np.intp)
    roots = forest.tree_start[:-1].astype(np.intp)
    rows = max(1, _WALKERS // forest.trees)
    for start in range(0, len(X), rows):
        part = X[start : start + rows]
        leaves[start : start + rows] = _walk(forest.table, roots, part)
    return leaves


def _walk(table: DecisionTable, roots: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Take a walker for each row and tree down to its leaf, all of them level by level."""
    rows, features = X.shape
    values = X.reshape(-1)
    arrived = np.empty(rows * len(roots), dtype=np.intp)
    walker = np.arange(len(arrived))
    node = np.tile(roots, rows)
    first = np.repeat(np.arange(0, rows * features, features), len(roots))
    while len(node):
        for _ in range(_LEVELS):
            value = values.take(first + table.feature.take(node))
            goes_left = value <= table.threshold.take(node)
            node = table.child.take(2 * node + goes_left)
        done = table.leaf.take(node)
        arrived[walker[done]] = node[done]
        under_way = np.flatnonzero(~done)
        node, first, walker = (part.take(under_way) for part in (node, first, walker))
    return arrived.reshape(rows, len(roots))
