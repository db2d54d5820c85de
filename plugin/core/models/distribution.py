"""Mean, standard deviation and quantiles of the distribution that a forest gives for a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..errors import InputError
from .engine import predict_fast
from .forest import Forest, LeafStore
from .traversal import find_leaves

_csr_matmat = getattr(getattr(sparse, "_sparsetools", None), "csr_matmat", None)
_LEAVES = 1_000_000  # rows times trees held at a time
_DRAWS = 400_000  # draws added up at a time: few enough for the processor's cache


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


def predict_forest(
    forest: Forest,
    X: np.ndarray,
    quantiles: Sequence[float] = (),
    *,
    weighted_leaves: bool = True,
) -> Prediction:
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
    :math:`v_j + \min(1, p - C_j)(v_{j+1} - v_j)`. A row's result depends on no other row.

    Computed by the compiled engine where numba is installed, in the calling thread and without
    Python's lock; else, or with the environment variable ``SOIL_MOISTURE_ENGINE=numpy``, by NumPy,
    with the same result to rounding.

    Parameters
    ----------
    forest : Forest
    X : (m, p) array
        Covariates, read as float32; rows with a missing value must be left out.
    quantiles : sequence of float
        Levels from 0 to 1.
    weighted_leaves : bool
        Whether the leaves of all trees weigh the same, as above, or all draws in them, so that
        larger leaves count for more (quantile-forest's default).

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
    found = predict_fast(forest, X, levels, weighted_leaves)
    return Prediction(*(found or _predict_numpy(forest, X, levels, weighted_leaves)))


def _predict_numpy(
    forest: Forest, X: np.ndarray, levels: np.ndarray, weighted: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, sd = np.empty(len(X)), np.empty(len(X))
    values = np.empty((len(X), len(levels)))
    rows = max(1, _LEAVES // forest.trees)
    for start in range(0, len(X), rows):
        part = slice(start, start + rows)
        leaves = find_leaves(forest, X[part])
        mean[part], sd[part] = _moments(forest, leaves, weighted)
        if forest.store is not None and len(levels):
            values[part] = _quantiles(forest, forest.store, leaves, levels, weighted)
    return mean, sd, values


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


def _moments(forest: Forest, leaves: np.ndarray, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    mean, square = np.zeros(len(leaves)), np.zeros(len(leaves))
    if weighted:
        for leaf in leaves.T:
            mean += forest.value[leaf]
        mean /= forest.trees
        for leaf in leaves.T:
            square += forest.variance[leaf] + (forest.value[leaf] - mean) ** 2
        return mean, np.sqrt(square / forest.trees)
    size = forest.count[leaves].astype(np.float64)
    draws = size.sum(axis=1)
    for leaf, weight in zip(leaves.T, size.T):
        mean += weight * forest.value[leaf]
    mean /= draws
    for leaf, weight in zip(leaves.T, size.T):
        square += weight * (forest.variance[leaf] + (forest.value[leaf] - mean) ** 2)
    return mean, np.sqrt(square / draws)


def _quantiles(
    forest: Forest, store: LeafStore, leaves: np.ndarray, levels: np.ndarray, weighted: bool
) -> np.ndarray:
    y = store.y[store.order]
    values = np.empty((len(leaves), len(levels)))
    for rows in _chunks(forest, leaves):
        weights = _row_weights(forest, store, leaves[rows], weighted)
        values[rows] = _weighted_quantiles(y, weights, levels)
    return values


def _chunks(forest: Forest, leaves: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows of `leaves` with about as many draws each, few enough to bound the memory."""
    draws = forest.count[leaves].sum(axis=1)
    ascending = np.argsort(-draws, kind="stable")[::-1]
    stop = len(ascending)
    while stop > 0:
        start = max(0, stop - max(1, int(_DRAWS // draws[ascending[stop - 1]])))
        yield ascending[start:stop]
        stop = start


def _row_weights(
    forest: Forest, store: LeafStore, leaves: np.ndarray, weighted: bool
) -> sparse.csr_matrix:
    """Return rows x ranks of the target: the weights, scaled to the draws in the row's leaves."""
    m, trees = leaves.shape
    size = forest.count[leaves].astype(np.float64)
    # Sums in the order of quantile-forest, so that ties fall on the same side.
    equal = 1.0 / size * size.sum(axis=1, keepdims=True) / trees
    share = equal if weighted else np.ones_like(size)
    starts = np.arange(0, m * trees + 1, trees)
    membership = sparse.csr_matrix(
        (share.reshape(-1), leaves.reshape(-1), starts), shape=(m, store.draws.shape[0])
    )
    product = _multiply(membership, store.draws, int(size.sum()))
    return product.tocsc().tocsr()  # there and back sorts in linear time


def _multiply(a: sparse.csr_matrix, b: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """Return ``a @ b``, which has at most so many entries.

    SciPy's operator first counts the entries, which takes nearly as long as the product.
    """
    shape = (a.shape[0], b.shape[1])
    kind = b.indices.dtype
    if _csr_matmat is None or most > np.iinfo(kind).max:
        return a @ b
    indptr, indices = np.empty(shape[0] + 1, kind), np.empty(most, kind)
    data = np.empty(most)
    left = (a.indptr.astype(kind), a.indices.astype(kind), a.data)
    _csr_matmat(*shape, *left, b.indptr, b.indices, b.data, indptr, indices, data)
    entries = slice(0, int(indptr[-1]))
    return sparse.csr_matrix((data[entries], indices[entries], indptr), shape=shape)


def _weighted_quantiles(
    y: np.ndarray, weights: sparse.csr_matrix, levels: np.ndarray
) -> np.ndarray:
    """Return the quantiles of each row of `weights` over the ascending values `y`.

    The arithmetic is that of quantile-forest's ``calc_weighted_quantile``, step by step.
    """
    first = weights.indptr[:-1, None].astype(np.intp)
    length = np.diff(weights.indptr)[:, None]
    cumulated = _cumulate(weights.data, length[:, 0])
    span = (cumulated[:, -1:] + 1.0) - 2.0
    wanted = levels * span + 1.0
    reached = np.minimum(_count_reached(cumulated, wanted), length)
    floor = np.maximum(reached - 1, 0)
    ceil = np.minimum(reached, length - 1)
    v_floor = y[weights.indices[first + floor]]
    v_ceil = y[weights.indices[first + ceil]]
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.minimum(levels, (np.take_along_axis(cumulated, floor, 1) - 1.0) / span)
        high = np.maximum(levels, (np.take_along_axis(cumulated, ceil, 1) - 1.0) / span)
        high = low + (high - low) / weights.data[first + ceil]
        part = (levels - low) / (high - low)
    between = v_floor + np.clip(part, 0.0, 1.0) * (v_ceil - v_floor)
    result = np.where((levels >= high) | (part >= 1), v_ceil, between)
    return np.where((reached == 0) | (floor == ceil), v_floor, result)


def _cumulate(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Cumulate consecutive stretches of `values`, one a row, each row ended by its total."""
    padded = np.zeros((len(lengths), lengths.max()))
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = values
    return np.cumsum(padded, axis=1, out=padded)


def _count_reached(cumulated: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return how many of a row's ascending entries are not above each value wanted of it."""
    width = cumulated.shape[1]
    entries = cumulated.reshape(-1)
    base = np.arange(len(cumulated))[:, None] * width - 1
    count = np.zeros(wanted.shape, dtype=np.intp)
    for bit in reversed(range(width.bit_length())):
        more = count + (1 << bit)
        inside = more <= width
        reached = entries.take(base + np.minimum(more, width)) <= wanted
        count = np.where(inside & reached, more, count)
    return count
