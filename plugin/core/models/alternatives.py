"""Alternatives to spiking that need no training rows: the base model's errors are corrected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..progress import Progress
from ..stations.rows import TrainingRows
from .calibration import Calibration, Margins, combine, local_margins
from .forest import LEAF, Forest
from .heldout import ForestSettings, HeldOut, join_heldout, predict_rows
from .spike_fits import station_names

BIAS, RESIDUAL = "bias", "residual"
FEWEST_LEFT_OUT = 4
"""Below 4 spike stations none is left out, as in spiking."""
RESIDUAL_TREES = 50
LEAF_STATIONS = 2
"""A leaf of the residual forest holds about as many rows as so many stations have."""
_FEWEST_IN_LEAF = 5


@dataclass(frozen=True)
class Shift:
    """How far the predictions of a model are moved.

    Attributes
    ----------
    value : float
        Added to every prediction, m³ m⁻³: `factor` · `mean`.
    mean : float
        Mean over stations of their mean residual, measured − predicted.
    factor : float
        0 to 1: what is kept of the mean.
    error : float
        Standard error of the mean.
    stations : int
    """

    value: float
    mean: float
    factor: float
    error: float
    stations: int


@dataclass(frozen=True, eq=False)
class Alternative:
    """A corrected model, judged at stations that had no part in the correction.

    Attributes
    ----------
    name : {"bias", "residual"}
    loso : HeldOut or None
        Spike stations, each left out in turn; None below four.
    validate : HeldOut or None
        Stations of the role validate.
    margins : Margins or None
        Of the correction by all spike stations.
    shift : Shift or None
        Of the bias correction by all spike stations.
    min_leaf : int
        Smallest leaf of the residual forest; 0 for the bias correction.
    """

    name: str
    loso: HeldOut | None
    validate: HeldOut | None
    margins: Margins | None
    shift: Shift | None = None
    min_leaf: int = 0


Correct = Callable[[HeldOut, Sequence[HeldOut], Progress], list[np.ndarray]]


def compare_alternatives(
    before: HeldOut,
    calibration: Calibration | None,
    *,
    validation: HeldOut | None = None,
    seed: int = 42,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Alternative, ...]:
    """Correct the predictions of a base model by those of its errors known at spike stations.

    **bias** adds a constant to mean and quantiles (`estimate_shift`). **residual** adds a forest
    of the residuals on the covariates, with leaves of about two stations each, so that no
    correction rests on one. Both are judged with each spike station left out in turn; the margins
    of their intervals are the larger of the base model's by station and those of the spike
    stations left out.

    Parameters
    ----------
    before : HeldOut
        Spike stations predicted by a base model that has not seen them.
    calibration : Calibration or None
        Of the base model.
    validation : HeldOut, optional
        Further stations, predicted alike.
    seed, threads : int

    Returns
    -------
    tuple of Alternative
        bias, residual.
    """
    progress = progress or Progress()
    forests = ForestSettings("rf", RESIDUAL_TREES, _large_leaf(before.rows), 0.333, seed, threads)
    bias = _judge(BIAS, _by_shift, before, calibration, validation, progress.part(0.0, 0.1))
    by_forest = _by_forest(forests)
    residual = _judge(RESIDUAL, by_forest, before, calibration, validation, progress.part(0.1, 1.0))
    return (
        replace(bias, shift=estimate_shift(before)),
        replace(residual, min_leaf=forests.min_leaf),
    )


def estimate_shift(before: HeldOut) -> Shift:
    """Return the bias of predictions, shrunk towards none [1]_ [2]_.

    The residuals follow a one-way model: a bias of the field, a deviation of each station, and
    that of its days. Stations count alike, since the days of one share its deviation; the
    variance of a station mean is estimated from their spread, with the base model's own variance
    as one station's worth of prior knowledge, so that a single station gives an estimate too. The
    variance of the field's bias itself is known from this one field only: its estimate is what
    the mean square exceeds chance by, never below 0. The bias expected is then
    max(0, 1 − V / mean²) of the mean, V being its squared standard error (positive-part
    empirical Bayes).

    References
    ----------
    .. [1] Efron, B., Morris, C. (1973). Stein's estimation rule and its competitors. JASA 68,
       117–130. https://doi.org/10.1080/01621459.1973.10481350
    .. [2] Robinson, G. K. (1991). That BLUP is a good thing: the estimation of random effects.
       Statistical Science 6, 15–32. https://doi.org/10.1214/ss/1177011926
    """
    residual = before.rows.y - before.mean
    _, code = np.unique(before.rows.station.astype(str), return_inverse=True)
    own = np.bincount(code, residual) / np.bincount(code)
    k, mean = len(own), float(own.mean())
    variance = (float(np.mean(before.sd**2)) + float(((own - mean) ** 2).sum())) / k
    squared_error = variance / k
    factor = max(0.0, 1.0 - squared_error / mean**2) if mean else 0.0
    return Shift(factor * mean, mean, factor, float(np.sqrt(squared_error)), k)


def shift_forest(forest: Forest, shift: float) -> Forest:
    """Return a forest that predicts `shift` more, mean and quantiles alike.

    Readings and means in its leaves stay within 0 and 1; the deviations stay.
    """
    leaf = forest.feature == LEAF
    moved = forest.value + shift
    value = np.where(leaf, np.clip(moved, 0.0, 1.0), moved)
    store = forest.store
    if store is not None:
        store = replace(store, y=np.clip(store.y + shift, 0.0, 1.0))
    return replace(forest, value=value, store=store)


def corrected_margins(calibration: Calibration | None, loso: HeldOut | None) -> Margins | None:
    """Return the margins of a corrected model.

    Its forest has seen no row of the field, so they are the base model's for a new field; from
    four spike stations on the larger of these and those of the spike stations left out.
    """
    known = calibration.network or calibration.margins if calibration else None
    if loso is None:
        return known
    local = local_margins(*loso.margin_input())
    return combine(known or local, local)


def _judge(
    name: str,
    correct: Correct,
    before: HeldOut,
    calibration: Calibration | None,
    validation: HeldOut | None,
    progress: Progress,
) -> Alternative:
    loso = None
    if len(station_names(before.rows)) >= FEWEST_LEFT_OUT:
        loso = _leave_out(correct, before, progress.part(0.0, 0.8))
    margins = corrected_margins(calibration, loso)
    if loso is not None:
        loso = _cross_calibrate(loso, calibration)
    judged = None
    if validation is not None:
        added = correct(before, [validation], progress.part(0.8, 1.0))[0]
        judged = _moved(validation, added).with_margins(margins)
    return Alternative(name, loso, judged, margins)


def _leave_out(correct: Correct, before: HeldOut, progress: Progress) -> HeldOut:
    station = before.rows.station.astype(str)
    names = station_names(before.rows)
    parts = []
    for i, name in enumerate(names):
        out = station == name
        part = progress.part(i / len(names), (i + 1) / len(names))
        part.check()
        held = before.take(out)
        parts.append(_moved(held, correct(before.take(~out), [held], part)[0]))
    return join_heldout(parts)


def _cross_calibrate(loso: HeldOut, calibration: Calibration | None) -> HeldOut:
    """Calibrate each spike station with the margins of the others."""
    station = loso.rows.station.astype(str)
    parts = []
    for name in station_names(loso.rows):
        out = station == name
        parts.append(loso.take(out).with_margins(corrected_margins(calibration, loso.take(~out))))
    return join_heldout(parts)


def _moved(held: HeldOut, added: np.ndarray) -> HeldOut:
    return HeldOut(
        held.rows,
        np.clip(held.mean + added, 0.0, 1.0),
        held.sd,
        np.clip(held.raw + added[:, None], 0.0, 1.0),
    )


def _by_shift(known: HeldOut, others: Sequence[HeldOut], _: Progress) -> list[np.ndarray]:
    value = estimate_shift(known).value
    return [np.full(len(other), value) for other in others]


def _by_forest(forests: ForestSettings) -> Correct:
    def correct(known: HeldOut, others: Sequence[HeldOut], progress: Progress) -> list[np.ndarray]:
        settings = replace(forests, min_leaf=_large_leaf(known.rows))
        rows = replace(known.rows, y=known.rows.y - known.mean)
        forest = settings.grow(rows, progress)
        return [predict_rows(forest, other.rows).mean for other in others]

    return correct


def _large_leaf(rows: TrainingRows) -> int:
    stations = len(station_names(rows))
    return max(_FEWEST_IN_LEAF, int(np.ceil(LEAF_STATIONS * len(rows) / stations)))
