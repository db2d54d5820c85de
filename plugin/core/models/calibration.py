"""Margins that make prediction intervals hold for stations the model has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Nominal coverages that get a margin of their own."""

TAUS = tuple(
    sorted({round((1 + sign * level) / 2, 4) for level in LEVELS for sign in (-1, 1)} | {0.5})
)
"""Quantile levels a held-out prediction carries: the bounds of each interval, and the median."""

_DIGITS = 9  # coverages closer than this are the same
_APPLIED = ("station", "network", "spiked")


@dataclass(frozen=True)
class Margins:
    """What is taken from the lower and added to the upper bound of the interval of each level.

    Attributes
    ----------
    levels : tuple of float
        Nominal coverages, ascending.
    values : tuple of float
        Margins in units of the target, at least 0 and non-decreasing; ``inf`` where too few
        stations were there for a finite interval of that level.
    stations : int
        Number of stations (or networks' stations) behind them.
    """

    levels: tuple[float, ...]
    values: tuple[float, ...]
    stations: int

    def at(self, coverage: np.ndarray) -> np.ndarray:
        """Return the margins of nominal `coverage`: 0 at 0, linear between the levels.

        Beyond the last level its margin holds; between a finite and an infinite margin the margin
        is infinite.
        """
        levels = np.round([0.0, *self.levels], _DIGITS)
        values = np.array([0.0, *self.values])
        coverage = np.minimum(np.round(np.asarray(coverage, np.float64), _DIGITS), levels[-1])
        above = np.searchsorted(levels, coverage, side="left")
        finite = np.isfinite(values)
        margin = np.interp(coverage, levels[finite], values[finite])
        return np.where(np.isfinite(values[above]), margin, np.inf)


@dataclass(frozen=True)
class Calibration:
    """The margins of a model, and which of them its maps use.

    Attributes
    ----------
    station, network, spiked : Margins or None
        From folds by station, from folds by network, and of a spiked model.
    applied : {"station", "network", "spiked"}
    """

    station: Margins | None
    network: Margins | None
    spiked: Margins | None
    applied: str

    def __post_init__(self) -> None:
        if self.applied not in _APPLIED or getattr(self, self.applied) is None:
            raise InputError(f"The calibration has no margins '{self.applied}'.")

    @property
    def margins(self) -> Margins:
        """The margins in use."""
        chosen: Margins = getattr(self, self.applied)
        return chosen


def interval_bounds(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the intervals of `LEVELS` from predictions at `TAUS`.

    Parameters
    ----------
    raw : (n, len(TAUS)) array

    Returns
    -------
    lower, upper : (n, len(LEVELS)) arrays
    """
    middle = len(TAUS) // 2
    return raw[:, :middle][:, ::-1], raw[:, middle + 1 :]


def station_margins(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, station: np.ndarray
) -> Margins:
    """Return split-conformal margins in which every station counts alike [1]_ [2]_ [3]_.

    The score of a row is how far it lies outside its interval, negative inside. Each of the K
    stations has the mass 1/(K + 1), shared by its rows, and the station to come has as much at
    infinity; the margin of level c is the smallest score whose cumulated mass reaches c. Margins
    start from 0 at level 0 and do not decrease, so a margin never narrows an interval (own choice:
    the forest's intervals are kept where they already cover enough).

    Parameters
    ----------
    lower, upper : (n, len(LEVELS)) arrays
        Interval bounds predicted by a model that has not seen the row's station.
    y : (n,) array
        Readings.
    station : (n,) array
        Station of each row.

    References
    ----------
    .. [1] Romano, Y., Patterson, E., Candès, E. J. (2019). Conformalized quantile regression.
       https://arxiv.org/abs/1905.03222
    .. [2] Lee, Y., Barber, R. F., Willett, R. (2023). Distribution-free inference with
       hierarchical data. https://arxiv.org/abs/2306.06342
    .. [3] Dunn, R., Wasserman, L., Ramdas, A. (2018). Distribution-free prediction sets for
       two-layer hierarchical models. https://arxiv.org/abs/1809.07441
    """
    sizes, stations = _sizes(lower, upper, y, station, unseen=1)
    return Margins(LEVELS, _from_zero(sizes), stations)


def local_margins(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, station: np.ndarray
) -> Margins:
    """Return margins from the k spike stations alone, mass 1/k each and none at infinity.

    The arguments are those of :func:`station_margins`. Always finite, and without its guarantee.
    From a handful of stations the margin of a low level is often larger by chance than that of a
    high one. That of 90 %, the interval of maps and reports, is kept as it is: lower levels have at
    most, higher ones at least the margin of their neighbour towards it (own choice).
    """
    sizes, stations = _sizes(lower, upper, y, station, unseen=0)
    kept = LEVELS.index(0.9)
    below = np.minimum.accumulate(sizes[kept::-1])[::-1]
    above = np.maximum.accumulate(sizes[kept:])
    return Margins(LEVELS, _from_zero([*below[:-1], *above]), stations)


def combine(everywhere: Margins, local: Margins) -> Margins:
    """Return the margins of a spiked model: the larger of both, level by level, at least 0."""
    values = np.maximum(np.maximum(everywhere.values, local.values), 0.0)
    return Margins(everywhere.levels, tuple(values.tolist()), everywhere.stations)


def apply(margins: Margins, taus: Sequence[float], raw: np.ndarray) -> np.ndarray:
    """Return calibrated quantiles.

    A quantile below the median is lowered, one above it raised by the margin of the interval it
    bounds, of coverage ``|2 tau - 1|``; the median stays. They are then put in order and clipped
    at 0 and 1, the range of volumetric soil moisture, which is also where an infinite margin ends.

    Parameters
    ----------
    margins : Margins
    taus : sequence of k float
        Quantile levels.
    raw : (m, k) array
        The forest's quantiles in m³ m⁻³; NaN stays NaN.

    Returns
    -------
    (m, k) float64 array
    """
    levels = np.asarray(taus, dtype=np.float64)
    sides = np.sign(np.round(levels - 0.5, _DIGITS))
    sizes = margins.at(np.abs(2 * levels - 1))
    shifts = np.where(sides == 0, 0.0, sizes) * np.where(sides < 0, -1.0, 1.0)
    shifted = np.clip(np.asarray(raw, np.float64) + shifts, 0.0, 1.0)
    ascending = np.argsort(levels, kind="stable")
    shifted[:, ascending] = np.sort(shifted[:, ascending], axis=1)
    return shifted


def _from_zero(sizes: Sequence[float]) -> tuple[float, ...]:
    """Return `sizes` as margins: at least 0, and none below the one before."""
    return tuple(np.maximum.accumulate([0.0, *sizes])[1:].tolist())


def _sizes(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, station: np.ndarray, unseen: int
) -> tuple[list[float], int]:
    """Return the score at which the mass reaches each level, and the number of stations."""
    y = np.asarray(y, dtype=np.float64)
    if len(y) == 0:
        raise InputError("There are no held-out predictions to calibrate intervals with.")
    scores = np.maximum(lower - y[:, None], y[:, None] - upper)
    if scores.shape != (len(y), len(LEVELS)) or not np.isfinite(scores).all():
        raise InputError(
            f"Held-out intervals must be finite and of the shape {(len(y), len(LEVELS))}, "
            f"these are of {scores.shape}."
        )
    _, of_row, rows = np.unique(
        np.asarray(station, dtype=str), return_inverse=True, return_counts=True
    )
    mass = 1.0 / ((len(rows) + unseen) * rows[of_row])
    sizes = [_mass_quantile(scores[:, i], mass, level) for i, level in enumerate(LEVELS)]
    return sizes, len(rows)


def _mass_quantile(scores: np.ndarray, mass: np.ndarray, level: float) -> float:
    """Return the smallest score whose cumulated mass reaches `level`; infinity where none does."""
    order = np.argsort(scores, kind="stable")
    reached = np.flatnonzero(np.cumsum(mass[order]) >= level - 10.0**-_DIGITS)
    return float(scores[order[reached[0]]]) if len(reached) else float("inf")
