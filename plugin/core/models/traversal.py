"""Which leaf of each tree a row of covariates falls into."""

from __future__ import annotations

import numpy as np

from .forest import LEAF, Forest


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
    m = len(X)
    leaves = np.empty((m, forest.trees), dtype=np.intp)
    rows = np.arange(m)
    for tree, root in enumerate(forest.tree_start[:-1]):
        node = np.full(m, root, dtype=np.intp)
        active = rows if forest.feature[root] != LEAF else rows[:0]
        while len(active):
            at = node[active]
            goes_left = X[active, forest.feature[at]] <= forest.threshold[at]
            at = np.where(goes_left, forest.left[at], forest.right[at])
            node[active] = at
            active = active[forest.feature[at] != LEAF]
        leaves[:, tree] = node
    return leaves
