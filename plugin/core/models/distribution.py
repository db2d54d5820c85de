"""Mean, standard deviation and quantiles of the distribution that a forest gives for a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..errors import InputError
from .forest import Forest, LeafStore
from .traversal import find_leaves

_ENTRIES = 2_000_000  # weights held at a time


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of m rows, in units of the target.

    Attributes
    ----------
    mean, sd : (m,) float64
        Mean and standard deviation of the forest's distribution.
    quantiles : (m, k) float64
        One column for each quantile asked for, in the order asked.
    """

    mean: np.ndarray
    sd: np.ndarray
    quantiles: np.ndarray


def predict_forest(forest: Forest, X: np.ndarray, quantiles: Sequence[float] = ()) -> Prediction:
    r"""Return mean, standard deviation and quantiles of the forest's distribution [1]_.

    .. math::

        F(y|x) = \sum_i w_i(x)\, 1\{y_i \le y\}, \qquad w_i(x) = \frac{1}{B} \sum_b
        \frac{c_{ib}\, 1\{leaf_b(i) = leaf_b(x)\}}{\sum_j c_{jb}\, 1\{leaf_b(j) = leaf_b(x)\}}

    with :math:`c_{ib}` the number of times tree b drew row i. Its mean is the forest's mean and its
    variance, by the law of total variance, the mean over trees of the leaf's variance plus the
    variance of the leaves' means: both need no training rows. Quantiles follow the ``linear`` rule
    of quantile-forest (``max_samples_leaf=None``, ``weighted_leaves=True``): the weights are scaled
    to the number N of draws in the leaves, and with :math:`p = q (N - 1) + 1`, C_j the largest
    cumulated weight not above p and v_j its row's value, the quantile is
    :math:`v_j + \min(1, p - C_j)(v_{j+1} - v_j)`.

    Parameters
    ----------
    forest : Forest
    X : (m, p) array
        Covariates, read as float32; rows with a missing value must be left out.
    quantiles : sequence of float
        Levels from 0 to 1.

    Raises
    ------
    InputError
        A level outside 0-1, covariates that are not the forest's number of finite values, or
        quantiles asked of a forest without leaf store.

    References
    ----------
    .. [1] Meinshausen, N. (2006). Quantile regression forests. Journal of Machine Learning
       Research, 7, 983-999. https://www.jmlr.org/papers/v7/meinshausen06a.html
    """
    X, levels = _checked(forest, X, quantiles)
    leaves = find_leaves(forest, X)
    mean, sd = _moments(forest, leaves)
    values = np.empty((len(X), len(levels)))
    if forest.store is not None and len(levels):
        y = forest.store.y[forest.store.order]
        leaf_rows = _leaf_rows(forest.store)
        for rows in _chunks(forest, leaves):
            values[rows] = _quantiles(forest, y, leaf_rows, leaves[rows], levels)
    return Prediction(mean, sd, values)


def _checked(
    forest: Forest, X: np.ndarray, quantiles: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    X = np.ascontiguousarray(X, dtype=np.float32)
    levels = np.array(quantiles, dtype=np.float64).reshape(-1)
    if X.ndim != 2 or X.shape[1] != forest.features:
        raise InputError(
            f"The model uses {forest.features} covariates, the rows to predict have the shape "
            f"{X.shape}.",
            "Give the covariates of the model.",
        )
    if not np.isfinite(X).all():
        raise InputError(
            "A covariate is missing in a row to predict.", "Leave rows with missing values out."
        )
    if not ((levels >= 0) & (levels <= 1)).all():
        raise InputError(
            f"The quantiles {', '.join(f'{q:g}' for q in levels)} are not all between 0 and 1.",
            "Give quantiles such as 0.05;0.5;0.95.",
        )
    if len(levels) and not forest.has_distribution:
        raise InputError(
            "This forest keeps no rows in its leaves, so it has no quantiles.",
            "Train the model with the method qrf.",
        )
    return X, levels


def _moments(forest: Forest, leaves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = np.zeros(len(leaves))
    for leaf in leaves.T:
        mean += forest.value[leaf]
    mean /= forest.trees
    square = np.zeros(len(leaves))
    for leaf in leaves.T:
        square += forest.variance[leaf] + (forest.value[leaf] - mean) ** 2
    return mean, np.sqrt(square / forest.trees)


def _leaf_rows(store: LeafStore) -> sparse.csr_matrix:
    """Return nodes x ranks with a one for each draw (a row drawn twice has two)."""
    rank = np.empty(len(store.order), dtype=np.int32)
    rank[store.order] = np.arange(len(store.order), dtype=np.int32)
    draws = np.repeat(rank[store.row], store.count)
    starts = np.concatenate([[0], np.cumsum(store.count, dtype=np.int64)])[store.start]
    shape = (len(store.start) - 1, len(rank))
    return sparse.csr_matrix((np.ones(len(draws)), draws, starts), shape=shape)


def _chunks(forest: Forest, leaves: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows of `leaves` of like cost, few enough at a time to bound the memory."""
    draws = forest.count[leaves].sum(axis=1)
    order = np.argsort(draws, kind="stable")
    start = 0
    while start < len(order):
        stop = min(len(order), start + max(1, int(_ENTRIES // draws[order[start]])))
        while stop - start > 1 and draws[order[stop - 1]] * (stop - start) > 2 * _ENTRIES:
            stop = start + (stop - start) // 2
        yield order[start:stop]
        start = stop


def _quantiles(
    forest: Forest,
    y: np.ndarray,
    leaf_rows: sparse.csr_matrix,
    leaves: np.ndarray,
    levels: np.ndarray,
) -> np.ndarray:
    m, trees = leaves.shape
    size = forest.count[leaves].astype(np.float64)
    # quantile-forest's order of operations, so that sums agree to the last bit.
    share = 1.0 / size * size.sum(axis=1, keepdims=True) / trees
    membership = sparse.csr_matrix(
        (share.ravel(), leaves.ravel(), np.arange(0, m * trees + 1, trees)),
        shape=(m, leaf_rows.shape[0]),
    )
    weights = membership @ leaf_rows
    weights.sort_indices()
    result = np.empty((m, len(levels)))
    for i in range(m):
        part = slice(weights.indptr[i], weights.indptr[i + 1])
        result[i] = _row_quantiles(y[weights.indices[part]], weights.data[part], levels)
    return result


def _row_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    cumulated = np.cumsum(weights)
    span = cumulated[-1] - 1.0
    p = levels * span + 1.0
    above = np.searchsorted(cumulated, p, side="right")
    last = len(values) - 1
    floor = np.clip(above - 1, 0, last)
    ceil = np.clip(above, 0, last)
    part = np.clip(np.where(above == 0, 0.0, p - cumulated[floor]), 0.0, 1.0)
    return values[floor] + part * (values[ceil] - values[floor])
