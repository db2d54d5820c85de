"""How much each covariate matters: by the splits it makes and by what is lost without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..models.forest import LEAF, Forest, LeafStore
from ..models.traversal import find_leaves
from ..progress import Progress

REPEATS = 5
MAX_ROWS = 500

Predict = Callable[[np.ndarray], np.ndarray]
HeldOutFold = tuple[Predict, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Importance:
    """Importance of one covariate.

    Attributes
    ----------
    covariate : str
    value : float
        In squared units of the target, (m³ m⁻³)².
    sd : float or None
        Standard deviation over folds and permutations, or over trees.
    """

    covariate: str
    value: float
    sd: float | None = None

    @property
    def standardised(self) -> float:
        """Value divided by its standard deviation; 0 where there is no spread."""
        return self.value / self.sd if self.sd else 0.0


def impurity_importance(forest: Forest, covariates: Sequence[str]) -> list[Importance]:
    """Return the decrease of the sum of squares by the splits on each covariate.

    The mean over trees of the sum over splits of n·variance less that of both children, what R's
    randomForest calls IncNodePurity (Breiman 2001, doi:10.1023/A:1010933404324). It is computed on
    the training rows and favours covariates with many different values.

    Returns
    -------
    list of Importance
        In the order of `covariates`; `sd` is None.
    """
    split = np.flatnonzero(forest.feature != LEAF)
    squares = forest.count * forest.variance
    decrease = squares[split] - squares[forest.left[split]] - squares[forest.right[split]]
    total = np.bincount(forest.feature[split], weights=decrease, minlength=len(covariates))
    return [Importance(name, float(v)) for name, v in zip(covariates, total / forest.trees)]


def permutation_importance(
    folds: Iterable[HeldOutFold],
    covariates: Sequence[str],
    *,
    repeats: int = REPEATS,
    max_rows: int = MAX_ROWS,
    seed: int = 42,
    progress: Progress | None = None,
) -> list[Importance]:
    """Return the rise of the mean squared error when one covariate is shuffled.

    Parameters
    ----------
    folds : iterable of (predict, X, y)
        For each fold the mean prediction of a model that has not seen the fold's stations, as a
        function of covariates (m, p), and the fold's rows (m, p) and targets (m,).
    covariates : sequence of p str
    repeats : int
        Permutations in each fold.
    max_rows : int
        Rows drawn from a fold that has more.
    seed : int
        Seed of the drawing and of the permutations; the order of covariates changes nothing.

    Returns
    -------
    list of Importance
        Mean and SD over folds × permutations, in the order of `covariates`. Negative where
        shuffling happened to help; of correlated covariates each hides the other.
    """
    progress = progress or Progress()
    rises = [np.zeros((0, len(covariates)))]
    for number, (predict, X, y) in enumerate(folds):
        rng = np.random.default_rng([seed, number])
        if len(y) > max_rows:
            drawn = np.sort(rng.choice(len(y), max_rows, replace=False))
            X, y = X[drawn], y[drawn]
        orders = [rng.permutation(len(y)) for _ in range(repeats)]
        rises.append(_rises(predict, X, y, orders, progress))
    joined = np.concatenate(rises)
    if not len(joined):
        return []
    spread = joined.std(axis=0, ddof=1) if len(joined) > 1 else np.zeros(joined.shape[1])
    return [
        Importance(name, float(mean), float(sd))
        for name, mean, sd in zip(covariates, joined.mean(axis=0), spread)
    ]


def out_of_bag_importance(
    forest: Forest,
    X: np.ndarray,
    covariates: Sequence[str],
    *,
    seed: int = 42,
    progress: Progress | None = None,
) -> list[Importance]:
    """Return the rise of each tree's error on the rows it did not draw, one covariate shuffled.

    The published way [1]_: mean over trees and SD over trees, whose quotient ranks the covariates.
    The rows a tree did not draw are days of stations it has drawn on other days, so a covariate
    that only tells the stations apart ranks too high.

    Parameters
    ----------
    forest : Forest
        With its leaf store, which tells the rows each tree drew.
    X : (n, p) array
        The rows the forest was grown on, in the same order.
    covariates : sequence of p str
    seed : int
        Seed of the permutations, one a tree; the order of covariates changes nothing.

    Returns
    -------
    list of Importance
        In the order of `covariates`.

    Raises
    ------
    InputError
        The forest has no leaf store, or every tree drew every row.

    References
    ----------
    .. [1] Breiman, L. (2001). Random forests. Machine Learning, 45, 5-32.
       https://doi.org/10.1023/A:1010933404324
    """
    progress = progress or Progress()
    if forest.store is None:
        raise InputError("The forest does not hold the rows its trees drew.", "Grow it with them.")
    X = np.asarray(X, dtype=np.float32)
    rises = []
    for tree in range(forest.trees):
        progress.step(tree / forest.trees)
        rng = np.random.default_rng([seed, tree])
        found = _tree_rises(forest, forest.store, tree, X, rng)
        if found is not None:
            rises.append(found)
    if not rises:
        raise InputError(
            "No tree has left two rows out of its draw.",
            "Out-of-bag importance needs more rows: give at least ten.",
        )
    joined = np.stack(rises)
    spread = joined.std(axis=0, ddof=1) if len(joined) > 1 else np.zeros(joined.shape[1])
    return [
        Importance(name, float(mean), float(sd))
        for name, mean, sd in zip(covariates, joined.mean(axis=0), spread)
    ]


def by_importance(importances: Iterable[Importance]) -> list[Importance]:
    """Return them from the most to the least important, equal ones by name."""
    return sorted(importances, key=lambda item: (-item.value, item.covariate))


def _rises(
    predict: Predict,
    X: np.ndarray,
    y: np.ndarray,
    orders: Sequence[np.ndarray],
    progress: Progress,
) -> np.ndarray:
    """Rise of the mean squared error, (permutations, covariates)."""
    base = float(np.mean((predict(X) - y) ** 2))
    rises = np.empty((len(orders), X.shape[1]))
    for column in range(X.shape[1]):
        for repeat, order in enumerate(orders):
            progress.check()
            shuffled = X.copy()
            shuffled[:, column] = X[order, column]
            rises[repeat, column] = float(np.mean((predict(shuffled) - y) ** 2)) - base
    return rises


def _tree_rises(
    forest: Forest, store: LeafStore, tree: int, X: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Rise of a tree's mean squared error on the rows it did not draw, (p,).

    None where it left fewer than two.
    """
    first, last = forest.tree_start[tree], forest.tree_start[tree + 1]
    left_out = np.ones(len(X), dtype=bool)
    left_out[store.row[store.start[first] : store.start[last]]] = False
    X, y = X[left_out], store.y[left_out]
    if len(y) < 2:
        return None
    order = rng.permutation(len(y))
    alone = _one_tree(forest, tree)

    def error(values: np.ndarray) -> float:
        return float(np.mean((alone.value[find_leaves(alone, values)[:, 0]] - y) ** 2))

    base = error(X)
    rises = np.zeros(X.shape[1])
    for column in np.unique(alone.feature[alone.feature != LEAF]):
        shuffled = X.copy()
        shuffled[:, column] = X[order, column]
        rises[column] = error(shuffled) - base
    return rises


def _one_tree(forest: Forest, tree: int) -> Forest:
    """Return a forest of one of the trees, without leaf store."""
    first, last = forest.tree_start[tree], forest.tree_start[tree + 1]
    nodes = slice(first, last)

    def child(places: np.ndarray) -> np.ndarray:
        return np.where(places[nodes] == LEAF, LEAF, places[nodes] - first).astype(np.int32)

    return replace(
        forest,
        tree_start=np.array([0, last - first]),
        feature=forest.feature[nodes],
        threshold=forest.threshold[nodes],
        left=child(forest.left),
        right=child(forest.right),
        value=forest.value[nodes],
        variance=forest.variance[nodes],
        count=forest.count[nodes],
        store=None,
    )
