"""What a model's own rows say of it when their stations are held out: weights and errors.

Both are found by growing the forest again without each station fold. They need the training rows
that ride along in the model file, and no more: a model of any version will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..models.distribution import predict_forest
from ..models.forest import Forest
from ..models.heldout import ForestSettings, require_stated
from ..models.record import Model
from ..models.training import choose_folds
from ..progress import Progress
from ..stations.folds.splits import station_folds
from ..stations.rows import TrainingRows
from .importance import HeldOutFold, Importance, Predict, permutation_importance

FOLDS = 5
_UNCOMPARED = "nothing can be compared with them"


@dataclass(frozen=True, eq=False)
class HeldOutErrors:
    """A model's training rows, each predicted by a forest that has not seen its station.

    Attributes
    ----------
    fold : (n,) int64
        Station fold of each training row.
    importances : tuple of Importance
        By permutation in the held-out folds, in the order of the model's covariates.
    squares : (n,) float64
        Squared errors, (m³ m⁻³)².
    """

    fold: np.ndarray
    importances: tuple[Importance, ...]
    squares: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """Importance of each covariate, (p,)."""
        return np.array([item.value for item in self.importances])


def held_out_errors(
    model: Model, *, threads: int = 2, progress: Progress | None = None
) -> HeldOutErrors:
    """Grow the model's forest again without each station fold, and predict what was left out.

    Settings, seed and folds are those of the training. Row weights count as in the model, so that
    a spiked model is judged as it is.

    Parameters
    ----------
    model : Model
    threads : int
        Does not change the result.

    Raises
    ------
    InputError
        A model without training rows, that does not state how its forest was grown, or of fewer
        than two stations.
    Cancelled
        The user stopped the run.
    """
    progress = progress or Progress()
    rows = model.require_rows(_UNCOMPARED)
    require_stated(model.hyperparameters, "it cannot be grown again without a fold")
    # the mean alone is needed
    settings = ForestSettings.stated(model.hyperparameters, "rf", threads=threads)
    fold = applicability_folds(model)
    squares = np.empty(len(rows))
    found = permutation_importance(
        _folds(rows, fold, settings, squares, progress),
        model.names,
        seed=settings.seed,
        progress=progress,
    )
    progress.step(1.0)
    return HeldOutErrors(fold, tuple(found), squares)


def applicability_folds(model: Model) -> np.ndarray:
    """Return the station fold of each training row, int64 (n,).

    Those of the training: the table's own, else drawn by the model's seed. Local stations of a
    spiked model are dealt out among them.
    """
    rows = model.require_rows(_UNCOMPARED)
    folds = int(model.hyperparameters.get("folds", FOLDS))
    seed = int(model.hyperparameters.get("seed", 42))
    if model.local is None or not model.local.any():
        return choose_folds(rows, folds, seed)
    fold = np.empty(len(rows), dtype=np.int64)
    fold[~model.local] = choose_folds(rows.take(~model.local), folds, seed)
    labels = np.unique(fold[~model.local])
    station = rows.station[model.local]
    dealt = np.zeros(len(station), dtype=np.int64)
    if len(np.unique(station.astype(str))) > 1:
        dealt = station_folds(station, len(labels), seed) - 1
    fold[model.local] = labels[dealt]
    return fold


def _folds(
    rows: TrainingRows,
    fold: np.ndarray,
    settings: ForestSettings,
    squares: np.ndarray,
    progress: Progress,
) -> Iterator[HeldOutFold]:
    """Yield each fold for its permutations, and note the squared errors of its rows."""
    names = np.unique(fold)
    for place, name in enumerate(names):
        part = progress.part(place / len(names), (place + 0.7) / len(names))
        own = fold == name
        forest = settings.grow(rows.take(~own), part)
        X, y = rows.X[own], rows.y[own]
        squares[own] = (predict_forest(forest, X).mean - y) ** 2
        yield _mean_of(forest), X, y
        progress.step((place + 1) / len(names))


def _mean_of(forest: Forest) -> Predict:
    return lambda X: predict_forest(forest, X).mean
