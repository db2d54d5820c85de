"""How much each covariate matters: by the splits it makes and by what is lost without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..models.forest import LEAF, Forest
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
        Standard deviation over folds and permutations.
    """

    covariate: str
    value: float
    sd: float | None = None


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
