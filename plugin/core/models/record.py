"""A trained model as a value, and what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from . import calibration as intervals
from .calibration import Calibration
from .distribution import Prediction, predict_forest
from .forest import Forest

if TYPE_CHECKING:
    from ..stations.rows import TrainingRows

__all__ = ["Covariate", "Model", "Prediction", "predict_model"]

METHODS = ("qrf", "rf")
KINDS = ("trained", "spiked")
SPIKE_DAYS = 15
"""A spiked model is untested further from a probe reading than this many days."""


@dataclass(frozen=True)
class Covariate:
    """A covariate of a model: what it is called and what it was in the training rows.

    Attributes
    ----------
    name : str
    group, units : str
        Empty where not known.
    minimum, maximum, mean : float
        Over the training rows, in `units`.
    """

    name: str
    group: str
    units: str
    minimum: float
    maximum: float
    mean: float


@dataclass(frozen=True, eq=False)
class Model:
    """A trained or spiked model with everything needed to use and to explain it.

    Attributes
    ----------
    method : {"qrf", "rf"}
        Quantile forest; forest with mean and standard deviation only.
    kind : {"trained", "spiked"}
    forest : Forest
    covariates : tuple of Covariate
        In the order of the columns the forest was grown on.
    target, station_field, date_field : str
        Names of the fields of the training table.
    class_fields : tuple of str
        Class fields to report by.
    depth : (float, float) or None
        Depth range of the target in metres, positive down.
    period : (str, str) or None
        First and last date of the training rows, ISO 8601.
    spike_dates : tuple of str
        Dates of the local rows, ISO 8601; empty for a model that is not spiked.
    hyperparameters : dict
    metrics : tuple of dict
        Rows of the metrics table, missing values None.
    calibration : Calibration or None
    provenance : dict
        Program, versions, time, steps and inputs.
    training : TrainingRows or None
        The rows the forest was grown on, in its order, where they ride along.
    local : (n,) bool array or None
        Which training rows are local; None for a model that is not spiked.
    """

    method: str
    kind: str
    forest: Forest
    covariates: tuple[Covariate, ...]
    target: str = "moisture"
    station_field: str = "station"
    date_field: str = "date"
    class_fields: tuple[str, ...] = ()
    depth: tuple[float, float] | None = None
    period: tuple[str, str] | None = None
    spike_dates: tuple[str, ...] = ()
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[dict[str, Any], ...] = ()
    calibration: Calibration | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    training: TrainingRows | None = None
    local: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.kind not in KINDS:
            raise InputError(
                f"A model of method '{self.method}' and kind '{self.kind}' is not known."
            )
        if len(self.covariates) != self.forest.features:
            raise InputError(
                f"The forest uses {self.forest.features} covariates, "
                f"the model names {len(self.covariates)}."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the covariates, in the order of the forest's columns."""
        return tuple(covariate.name for covariate in self.covariates)

    def require_rows(self, consequence: str, instead: str = "") -> TrainingRows:
        """Return the training rows.

        Raises
        ------
        InputError
            Where they do not ride along: says the `consequence`, and what to do, or do `instead`.
        """
        if self.training is not None:
            return self.training
        if "correction" in self.hyperparameters:
            raise InputError(
                "The model was corrected with METHOD bias and holds no training rows, so "
                f"{consequence}.",
                "Give the model from before the correction.",
            )
        raise InputError(
            f"The model holds no training rows, so {consequence}.",
            f"Train it again with EMBED_TRAINING{instead}.",
        )


def predict_model(
    model: Model, X: np.ndarray, quantiles: Sequence[float] = (), calibrated: bool = True
) -> Prediction:
    """Return the model's mean, standard deviation and quantiles for the rows of `X`.

    Mean and standard deviation are the forest's. Quantiles are calibrated where the model is and
    `calibrated` is true, else the forest's. The method rf has no quantiles of its own: they are
    the mean less and plus the calibrated margins.

    Parameters
    ----------
    model : Model
    X : (m, p) array
        Covariates in the order of ``model.covariates``; rows with a missing value left out.
    quantiles : sequence of float
        Levels from 0 to 1.
    calibrated : bool

    Raises
    ------
    InputError
        Covariates or levels that cannot be used, or quantiles of an rf model without calibration.
    """
    levels = tuple(float(level) for level in quantiles)
    used = model.calibration if calibrated else None
    if model.method == "rf":
        prediction = _around_mean(model, X, levels, used)
    else:
        prediction = predict_forest(model.forest, X, levels)
    if used is None or not levels:
        return prediction
    shifted = intervals.apply(used.margins, levels, prediction.quantiles)
    return Prediction(prediction.mean, prediction.sd, shifted)


def _around_mean(
    model: Model, X: np.ndarray, levels: tuple[float, ...], used: Calibration | None
) -> Prediction:
    if used is None and any(level != 0.5 for level in levels):
        raise InputError(
            "A model of the method rf has no quantiles but the calibrated ones.",
            "Train it with calibration, or with the method qrf.",
        )
    if any(not 0 <= level <= 1 for level in levels):
        raise InputError(
            f"The quantiles {', '.join(f'{q:g}' for q in levels)} are not all between 0 and 1.",
            "Give quantiles such as 0.05;0.5;0.95.",
        )
    plain = predict_forest(model.forest, X)
    return Prediction(plain.mean, plain.sd, np.repeat(plain.mean[:, None], len(levels), axis=1))
