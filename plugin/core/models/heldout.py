"""Predictions for stations that the forest has not seen, and what they say of its intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..progress import Progress
from ..stations.folds.splits import station_folds
from ..stations.rows import TrainingRows, concat
from .calibration import TAUS, Margins, apply, interval_bounds
from .distribution import predict_forest
from .forest import Forest, grow_forest

_SINGLE_UNITS = 30  # up to as many stations or networks are left out one by one
_UNIT_FOLDS = 10
_STATED = ("trees", "min_leaf", "max_features")


@dataclass(frozen=True)
class ForestSettings:
    """How the forests of a model are grown.

    Attributes
    ----------
    method : str
        ``qrf`` keeps the rows of each leaf, ``rf`` does not.
    trees, min_leaf, max_features, seed
        As in `grow_forest`.
    threads : int
        Does not change the forest.
    """

    method: str = "qrf"
    trees: int = 50
    min_leaf: int = 10
    max_features: float = 0.333
    seed: int = 42
    threads: int = 2

    @classmethod
    def stated(
        cls, known: Mapping[str, Any], method: str, *, seed: int = 42, threads: int = 2
    ) -> ForestSettings:
        """Return the settings that hyper-parameters of a model state, see `require_stated`.

        `seed` counts where they state none.
        """
        return cls(
            method=method,
            trees=int(known["trees"]),
            min_leaf=int(known["min_leaf"]),
            max_features=float(known["max_features"]),
            seed=int(known.get("seed", seed)),
            threads=threads,
        )

    def grow(
        self, rows: TrainingRows, progress: Progress | None = None, *, keep_rows: bool = True
    ) -> Forest:
        """Grow a forest on `rows` with their weights."""
        return grow_forest(
            rows.X,
            rows.y,
            rows.weight,
            trees=self.trees,
            min_leaf=self.min_leaf,
            max_features=self.max_features,
            seed=self.seed,
            threads=self.threads,
            keep_rows=keep_rows and self.method == "qrf",
            progress=progress,
        )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions for rows whose stations took no part in the fit that predicts them.

    Attributes
    ----------
    rows : TrainingRows
    mean, sd : (n,) float64
    raw : (n, len(TAUS)) float64
        Quantiles of the forest at `TAUS`, uncalibrated.
    calibrated : (n, len(TAUS)) float64, optional
        The same, moved by margins which the row's own station had no part in.
    """

    rows: TrainingRows
    mean: np.ndarray
    sd: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def take(self, index: np.ndarray) -> HeldOut:
        """Return the rows of a mask or of an index array."""
        return HeldOut(
            self.rows.take(index),
            self.mean[index],
            self.sd[index],
            self.raw[index],
            None if self.calibrated is None else self.calibrated[index],
        )

    def bounds(self, level: float = 0.9, *, calibrated: bool = True) -> tuple[np.ndarray, ...]:
        """Return lower and upper bound, each (n,), of the central interval of `level`."""
        values = self.calibrated if calibrated else self.raw
        if values is None:
            missing = np.full(len(self), np.nan)
            return missing, missing
        low, high = bound_columns(level)
        return values[:, low], values[:, high]

    def station_errors(self) -> dict[str, float]:
        """Return the mean squared error of each station."""
        square = (self.mean - self.rows.y) ** 2
        return {
            str(name): float(square[self.rows.station == name].mean())
            for name in np.unique(self.rows.station.astype(str))
        }

    def with_margins(self, margins: Margins | None) -> HeldOut:
        """Return these predictions with `margins` applied; none leaves them uncalibrated."""
        calibrated = None if margins is None else apply(margins, TAUS, self.raw)
        return replace(self, calibrated=calibrated)

    def margin_input(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return lower (n, L), upper (n, L), target (n,) and station (n,) for the margins."""
        lower, upper = interval_bounds(self.raw)
        return lower, upper, self.rows.y, self.rows.station


@dataclass(frozen=True, eq=False)
class Fold:
    """A forest, without leaf store, and the rows (by index) that it has not seen."""

    forest: Forest
    rows: np.ndarray


def require_stated(known: Mapping[str, Any], consequence: str) -> None:
    """Raise an InputError that says the `consequence` where a model's settings are not known."""
    unknown = [name for name in _STATED if name not in known]
    if unknown:
        raise InputError(
            f"The model does not state {', '.join(unknown)} of its forest, so {consequence}.",
            "Train it again.",
        )


def bound_columns(level: float) -> tuple[int, int]:
    """Return the columns of `TAUS` that bound the central interval of `level`."""
    taus = np.asarray(TAUS)
    low = int(np.argmin(np.abs(taus - (1 - level) / 2)))
    high = int(np.argmin(np.abs(taus - (1 + level) / 2)))
    return low, high


def predict_rows(forest: Forest, rows: TrainingRows) -> HeldOut:
    """Predict `rows`; a forest without leaf store gives its mean for every quantile."""
    taus = TAUS if forest.has_distribution else ()
    prediction = predict_forest(forest, rows.X, taus)
    raw = prediction.quantiles
    if not forest.has_distribution:
        raw = np.repeat(prediction.mean[:, np.newaxis], len(TAUS), axis=1)
    return HeldOut(rows, prediction.mean, prediction.sd, raw)


def predict_folds(
    rows: TrainingRows,
    fold: np.ndarray,
    settings: ForestSettings,
    progress: Progress,
    always: TrainingRows | None = None,
) -> tuple[HeldOut, tuple[Fold, ...]]:
    """Predict each fold with a forest grown on the other folds.

    Parameters
    ----------
    rows : TrainingRows
    fold : (n,) array
        Fold of each row; the rows of a station must share one.
    always : TrainingRows, optional
        Rows that take part in every fit, and are not predicted.

    Returns
    -------
    HeldOut
        In the order of `rows`.
    tuple of Fold
    """
    names = np.unique(fold)
    parts, places, folds = [], [], []
    for i, name in enumerate(names):
        test = np.flatnonzero(fold == name)
        training = rows.take(fold != name)
        if always is not None:
            training = concat(training, always)
        forest = settings.grow(training, progress.part(i / len(names), (i + 1) / len(names)))
        parts.append(predict_rows(forest, rows.take(test)))
        places.append(test)
        folds.append(Fold(forest.without_rows(), test))
    return _in_order(rows, parts, np.concatenate(places)), tuple(folds)


def join_heldout(parts: list[HeldOut]) -> HeldOut:
    """Return the rows of all `parts`, one part after the other."""
    rows = parts[0].rows
    for part in parts[1:]:
        rows = concat(rows, part.rows)
    calibrated = [part.calibrated for part in parts if part.calibrated is not None]
    return HeldOut(
        rows,
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.sd for part in parts]),
        np.concatenate([part.raw for part in parts]),
        np.concatenate(calibrated) if len(calibrated) == len(parts) else None,
    )


def cross_calibrate(
    held: HeldOut, margins_of: Callable[[HeldOut], Margins | None], unit: np.ndarray, seed: int
) -> HeldOut:
    """Calibrate each row with margins that its own unit (station, network) had no part in.

    Margins tested on the rows they were made from cover by construction; these do not. Up to 30
    units are left out one by one, more in ten groups.
    """
    names = np.unique(unit.astype(str))
    if len(names) < 2:
        return replace(held, calibrated=None)
    if len(names) <= _SINGLE_UNITS:
        fold = np.searchsorted(names, unit.astype(str))
    else:
        fold = station_folds(unit, _UNIT_FOLDS, seed)
    calibrated = np.full_like(held.raw, np.nan)
    for name in np.unique(fold):
        test = fold == name
        margins = margins_of(held.take(~test))
        if margins is None:
            return replace(held, calibrated=None)
        calibrated[test] = apply(margins, TAUS, held.raw[test])
    return replace(held, calibrated=calibrated)


def _in_order(rows: TrainingRows, parts: list[HeldOut], place: np.ndarray) -> HeldOut:
    back = np.empty(len(place), dtype=np.intp)
    back[place] = np.arange(len(place))
    return HeldOut(
        rows,
        np.concatenate([part.mean for part in parts])[back],
        np.concatenate([part.sd for part in parts])[back],
        np.concatenate([part.raw for part in parts])[back],
    )
