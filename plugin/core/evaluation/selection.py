"""Sets of covariates judged at stations not seen, and the smallest set that will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..models.distribution import predict_forest
from ..models.heldout import Fold, ForestSettings
from ..progress import Progress
from ..stations.covariate_fields import candidate_covariates, read_covariates
from ..stations.rows import TrainingRows
from ..stations.table import Table
from .metrics import Row, score


@dataclass(frozen=True, eq=False)
class CovariateSet:
    """Covariates and the scores of forests that know no others, at stations not seen.

    Attributes
    ----------
    names : tuple of str
        Sorted.
    scores : dict
        `r`, `ubrmse`, `me`, `slope`, `rmse`, `n`, `stations` of all rows, each predicted by the
        forest of the other folds; as `metrics.score` gives them.
    fold_mse : (k,) float64
        Mean squared error in each fold, (m³ m⁻³)².
    spread : float
        Standard deviation of the predictions, m³ m⁻³.
    """

    names: tuple[str, ...]
    scores: Row
    fold_mse: np.ndarray
    spread: float

    @property
    def rmse(self) -> float:
        """Root mean squared error of all rows, m³ m⁻³."""
        return float(self.scores["rmse"])

    @property
    def mean_fold_rmse(self) -> float:
        """Mean over folds of the root mean squared error, m³ m⁻³."""
        return float(np.sqrt(self.fold_mse).mean())


class SetScorer:
    """Judges sets of covariates by the same station folds and seed; each set once.

    Parameters
    ----------
    rows : TrainingRows
    fold : (n,) array
        Fold of each row; the rows of a station share one.
    settings : ForestSettings
    """

    def __init__(self, rows: TrainingRows, fold: np.ndarray, settings: ForestSettings) -> None:
        self.rows = rows
        self.settings = settings
        self._tests = [np.flatnonzero(fold == name) for name in np.unique(fold)]
        self._known: dict[tuple[str, ...], CovariateSet] = {}
        self._grown = 0

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self._tests)

    @property
    def fits(self) -> int:
        """Number of forests grown so far."""
        return self._grown

    def score(self, names: Sequence[str], progress: Progress | None = None) -> CovariateSet:
        """Grow a forest for each fold on the covariates `names` only, and score the folds."""
        key = tuple(sorted(names))
        if key not in self._known:
            self._grow(key, progress or Progress())
        return self._known[key]

    def score_all(self, progress: Progress) -> tuple[CovariateSet, tuple[Fold, ...]]:
        """Score all covariates, and return the forests with the rows they have not seen."""
        folds = self._grow(self.rows.covariates, progress)
        return self._known[self.rows.covariates], folds

    def _grow(self, names: tuple[str, ...], progress: Progress) -> tuple[Fold, ...]:
        columns = [self.rows.covariates.index(name) for name in names]
        rows = replace(self.rows, X=np.ascontiguousarray(self.rows.X[:, columns]), covariates=names)
        predicted = np.empty(len(rows))
        folds = []
        for number, test in enumerate(self._tests):
            training = np.ones(len(rows), dtype=bool)
            training[test] = False
            part = progress.part(number / self.folds, (number + 1) / self.folds)
            forest = self.settings.grow(rows.take(training), part, keep_rows=False)
            predicted[test] = predict_forest(forest, rows.X[test]).mean
            folds.append(Fold(forest, test))
            self._grown += 1
        square = (predicted - rows.y) ** 2
        scores = score(rows.y, predicted, station=rows.station, date=rows.date)
        mse = np.array([square[test].mean() for test in self._tests])
        self._known[names] = CovariateSet(names, scores, mse, float(predicted.std()))
        return tuple(folds)


def smallest_enough(
    scorer: SetScorer,
    units: Sequence[tuple[str, ...]],
    count: int,
    tolerance: float,
    progress: Progress,
) -> CovariateSet:
    """Return the first `count` units, and as many more as it takes to do as well as all.

    Covariates that tell the same hide each other, so each may look superfluous while both are
    not: a set whose RMSE at stations not seen is more than `tolerance` (a share) above that of
    all covariates takes in the next unit.

    Parameters
    ----------
    units : sequence of tuples of str
        Covariates, or groups of them, the most important first; together all covariates.
    """
    whole = scorer.score([name for unit in units for name in unit], progress)
    for number in range(max(count, 1), len(units)):
        part = progress.part((number - 1) / len(units), number / len(units))
        found = scorer.score([name for unit in units[:number] for name in unit], part)
        if found.rmse <= (1 + tolerance) * whole.rmse:
            return found
    return whole


def filled_covariates(
    table: Table,
    names: Sequence[str],
    used_fields: Sequence[str],
    progress: Progress,
    *,
    text_numbers: bool = True,
) -> list[str]:
    """Return the covariates that have a value anywhere; the others are told and left out.

    Parameters
    ----------
    names : sequence of str
        Empty = `candidate_covariates`.

    Raises
    ------
    InputError
        No covariate has a value, or there is no field of that name.
    """
    listed = list(names) or candidate_covariates(table, used_fields, text_numbers=text_numbers)
    empty = [name for name in listed if table.has(name) and _is_empty(table, name)]
    if len(empty) == len(listed):
        raise InputError(
            f"No covariate has a value: {', '.join(sorted(empty))}.",
            "Sample the covariates at the stations first.",
        )
    if empty:
        progress.warn(f"Left out, without any value: {', '.join(sorted(empty))}.")
    return [name for name in listed if name not in empty]


def station_constant(rows: TrainingRows) -> tuple[str, ...]:
    """Return the covariates that never change at a station, where stations have several rows."""
    _, code, counts = np.unique(rows.station.astype(str), return_inverse=True, return_counts=True)
    if counts.max() < 2:
        return ()
    order = np.argsort(code, kind="stable")
    same = code[order][1:] == code[order][:-1]
    changes = (np.diff(rows.X[order], axis=0) != 0) & same[:, np.newaxis]
    return tuple(n for n, changing in zip(rows.covariates, changes.any(axis=0)) if not changing)


def _is_empty(table: Table, name: str) -> bool:
    values = read_covariates(table, [name], np.zeros(len(table), dtype=bool), Progress())
    return bool(np.isnan(values).all())
