"""How far places lie from the training rows in the space of their covariates.

The geometry behind the area of applicability and behind designs that look for what a model has not
seen. Covariates are standardised and multiplied by their weights; distances are Euclidean and
divided by the mean distance between training rows: dissimilarity indices (DI) [1]_.

References
----------
.. [1] Meyer, H., Pebesma, E. (2021). Predicting into unknown space? Estimating the area of
   applicability of spatial prediction models. Methods in Ecology and Evolution 12, 1620-1633.
   https://doi.org/10.1111/2041-210X.13650
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from ...errors import InputError
from .neighbours import Check, NeighbourIndex

RULES = ("fence", "whisker")
PAIRED_ROWS = 5_000
"""At most so many rows, drawn by seed, give the mean distance over all pairs."""
TIE = 1e-9
"""Distances this close to a threshold, relative to it, count as equal to it: rounding decides
nothing."""

_AT_ONCE = 500  # rows whose distances to all others are held at a time


@dataclass(frozen=True, eq=False)
class CovariateSpace:
    """Training rows as points in the space of their standardised and weighted covariates.

    Made by `covariate_space`.

    Attributes
    ----------
    names : tuple of p str
        Covariates that span the space.
    dropped : tuple of str
        Covariates that are the same in all training rows, and left out.
    columns : (p,) int array
        Where the covariates of `names` stand among those given.
    centre, scale : (p,) float64
        Mean and standard deviation (of a sample, n - 1) over the training rows.
    weight : (p,) float64
        0 or above.
    points : (n, p) float64
        Training rows: less `centre`, divided by `scale`, times `weight`.
    mean_distance : float
        Over all pairs of training rows (5 000 at most, drawn by seed).
    fold : (n,) int array or None
        Station fold of each training row.
    """

    names: tuple[str, ...]
    dropped: tuple[str, ...]
    columns: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    points: np.ndarray
    mean_distance: float
    fold: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points)

    def locate(self, X: np.ndarray) -> np.ndarray:
        """Return the points (m, p) of rows of covariates.

        Parameters
        ----------
        X : (m, q) array
            All covariates that `covariate_space` was given, the dropped ones too, in that order.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != len(self.names) + len(self.dropped):
            raise InputError(
                f"The rows have the shape {X.shape}, the space has "
                f"{len(self.names) + len(self.dropped)} covariates.",
                "Give the covariates the space was made of, in that order.",
            )
        return _place(X[:, self.columns], self.centre, self.scale, self.weight)

    def dissimilarity(self, X: np.ndarray) -> np.ndarray:
        """Return the DI of rows: distance to the nearest training row / mean distance, (m,).

        Rows with a missing covariate are NaN. Covariates as in `locate`.
        """
        return self._measure(X, None, None)[0]

    def local_density(self, X: np.ndarray, threshold: float) -> np.ndarray:
        """Return how many training rows have a DI below `threshold` to each row, float64 (m,).

        The local point density (LPD) [1]_. Rows with a missing covariate are NaN. Covariates as in
        `locate`.

        References
        ----------
        .. [1] Schumacher, F. L., Knoth, C., Ludwig, M., Meyer, H. (2025). Estimation of local
           training data point densities to support the assessment of spatial prediction
           uncertainty. Geoscientific Model Development 18, 10185.
           https://doi.org/10.5194/gmd-18-10185-2025
        """
        return self._measure(X, threshold, None)[1]

    def measure(
        self, X: np.ndarray, threshold: float, check: Check | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `dissimilarity` and `local_density` of rows, found in one search.

        Parameters
        ----------
        check : callable, optional
            Called every now and then; may raise to end the search.
        """
        return self._measure(X, threshold, check)

    def training_dissimilarity(self, check: Check | None = None) -> np.ndarray:
        """Return the DI of each training row to the nearest one outside its own fold, (n,).

        Without folds to the nearest other row.

        Raises
        ------
        InputError
            All rows are in one fold.
        """
        if self.fold is None:
            return self._index.nearest_other(check) / self.mean_distance
        if (self.fold == self.fold[0]).all():
            raise InputError(
                f"All rows are in fold {self.fold[0]}, so no row has a neighbour outside its fold.",
                "Give at least two folds.",
            )
        return self._index.nearest_outside(check) / self.mean_distance

    def prepare(self) -> None:
        """Arrange the points for searching, before several threads ask."""
        self._index.prepare()

    def _measure(
        self, X: np.ndarray, threshold: float | None, check: Check | None
    ) -> tuple[np.ndarray, np.ndarray]:
        points = self.locate(X)
        there = np.isfinite(X).all(axis=1)
        found = np.full(len(points), np.nan), np.full(len(points), np.nan)
        if there.any():
            radius = None if threshold is None else threshold * self.mean_distance * (1.0 - TIE)
            distance, count = self._index.search(self._spanned(points[there]), radius, check)
            found[0][there] = distance / self.mean_distance
            found[1][there] = count
        return found

    @cached_property
    def _index(self) -> NeighbourIndex:
        return NeighbourIndex(self._spanned(self.points), self.fold)

    def _spanned(self, points: np.ndarray) -> np.ndarray:
        """Return the coordinates that differ: those of covariates with a weight."""
        return points[:, self.weight > 0]


def covariate_space(
    X: np.ndarray,
    names: Sequence[str],
    *,
    weight: Sequence[float] | np.ndarray | None = None,
    fold: np.ndarray | None = None,
    seed: int = 42,
) -> CovariateSpace:
    """Return the space of the covariates of training rows.

    Parameters
    ----------
    X : (n, q) array
        Covariates of the training rows, finite.
    names : sequence of q str
    weight : (q,) array, optional
        Importance of each covariate; negative ones count as 0, and where all are 0 the
        covariates weigh the same, as they do without.
    fold : (n,) array, optional
        Station fold of each row.
    seed : int
        Of the draw of rows for the mean distance. The order of rows and covariates changes
        nothing.

    Raises
    ------
    InputError
        Fewer than two rows, covariates that are missing or not as many as their names or weights,
        or that are all constant.

    Examples
    --------
    >>> space = covariate_space(np.array([[0.0], [1.0], [3.0]]), ["clay"])
    >>> space.dissimilarity(np.array([[1.0], [4.0]])).round(2).tolist()
    [0.0, 0.5]
    """
    X = np.asarray(X, dtype=np.float64)
    _check(X, names, weight, fold)
    varies = X.max(axis=0) > X.min(axis=0)
    if not varies.any():
        raise InputError(
            f"All covariates are the same in every row: {', '.join(names)}.",
            "Use covariates that tell the rows apart.",
        )
    columns = np.flatnonzero(varies)
    kept = X[:, columns]
    weights = _weights(weight, columns)
    centre, scale = kept.mean(axis=0), kept.std(axis=0, ddof=1)
    points = _place(kept, centre, scale, weights)
    known = tuple(names[column] for column in columns)
    return CovariateSpace(
        names=known,
        dropped=tuple(name for name, differs in zip(names, varies) if not differs),
        columns=columns,
        centre=centre,
        scale=scale,
        weight=weights,
        points=points,
        mean_distance=_mean_distance(points, known, seed),
        fold=None if fold is None else np.asarray(fold),
    )


def threshold(training_di: np.ndarray, rule: str = "fence") -> float:
    """Return the DI up to which a place is inside the area of applicability.

    Parameters
    ----------
    training_di : (n,) array
        DI of the training rows.
    rule : {'fence', 'whisker'}
        Of a box plot of the training DI: `fence` = Q75 + 1.5 IQR, but not above the largest (the
        present default of the R package CAST); `whisker` = the largest DI not above Q75 + 1.5 IQR
        (Meyer & Pebesma 2021). Quantiles interpolate linearly, as R's and NumPy's by default.
    """
    if rule not in RULES:
        raise InputError(f"The rule '{rule}' is unknown.", f"Use one of {', '.join(RULES)}.")
    low, high = np.quantile(training_di, [0.25, 0.75])
    fence = high + 1.5 * (high - low)
    if rule == "fence":
        return float(min(fence, training_di.max()))
    return float(training_di[training_di <= fence].max())


def _check(
    X: np.ndarray,
    names: Sequence[str],
    weight: Sequence[float] | np.ndarray | None,
    fold: np.ndarray | None,
) -> None:
    if X.ndim != 2 or X.shape[1] != len(names):
        raise InputError(f"{len(names)} covariates are named, the rows have the shape {X.shape}.")
    if len(X) < 2:
        raise InputError(f"There are {len(X)} rows.", "Distances need at least two.")
    missing = [name for name, column in zip(names, X.T) if not np.isfinite(column).all()]
    if missing:
        raise InputError(
            f"A value is missing in the covariates {', '.join(missing)}.",
            "Leave out rows with missing values.",
        )
    if weight is not None and (len(weight) != len(names) or not np.isfinite(weight).all()):
        raise InputError(f"{len(names)} covariates need as many finite weights.")
    if fold is not None and len(fold) != len(X):
        raise InputError(f"{len(X)} rows need as many folds, there are {len(fold)}.")


def _weights(weight: Sequence[float] | np.ndarray | None, columns: np.ndarray) -> np.ndarray:
    if weight is None:
        return np.ones(len(columns))
    positive = np.maximum(np.asarray(weight, dtype=np.float64)[columns], 0.0)
    return positive if positive.any() else np.ones(len(columns))


def _place(X: np.ndarray, centre: np.ndarray, scale: np.ndarray, weight: np.ndarray) -> np.ndarray:
    points = X.astype(np.float64)
    points -= centre
    points *= weight / scale
    return points


def _mean_distance(points: np.ndarray, names: Sequence[str], seed: int) -> float:
    columns = sorted(range(len(names)), key=lambda column: names[column])
    ordered = points[np.lexsort(points[:, columns].T[::-1])]
    if len(ordered) > PAIRED_ROWS:
        drawn = np.random.default_rng(seed).choice(len(ordered), PAIRED_ROWS, replace=False)
        ordered = ordered[np.sort(drawn)]
    total = sum(
        float(cdist(ordered[start : start + _AT_ONCE], ordered).sum())
        for start in range(0, len(ordered), _AT_ONCE)
    )
    return total / (len(ordered) * (len(ordered) - 1))
