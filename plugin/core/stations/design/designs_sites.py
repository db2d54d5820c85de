"""Places that a design chooses among, and how far apart the chosen ones must lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ...errors import InputError

_SLACK = 1e-9  # relative: places exactly as far apart as asked for are far enough


@dataclass(frozen=True, eq=False)
class Spacing:
    """A smallest distance between the chosen places.

    Attributes
    ----------
    positions : (n, 2) or (n, 3) float64
        Coordinates of the places in metres.
    distance : float
        Smallest distance in metres, above 0.
    """

    positions: np.ndarray
    distance: float

    def far_enough(self, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return the mask of the places `rows` that lie far enough from all `chosen`."""
        if not len(chosen):
            return np.ones(len(rows), dtype=bool)
        apart = cdist(self.positions[rows], self.positions[chosen]).min(axis=1)
        return np.asarray(apart >= self.distance * (1.0 - _SLACK))


@dataclass(frozen=True, eq=False)
class Sites:
    """Places as points in the space of their standardised covariates.

    Attributes
    ----------
    points : (n, p) float64
        Finite; the order of places and covariates must be canonical.
    candidate : (n,) bool
        May be chosen.
    kept : (n,) bool
        Chosen already; never a candidate.
    population : (n,) bool
        What the choice should be like: the stations of a network, the cells of a field.
    preference : (n,) float64 or None
        0 or above: how much a place is wanted beside its covariates (a dissimilarity index); None
        where all are wanted alike.
    classes : tuple of (n,) int64
        Codes of class variables.
    spacing : Spacing or None
    """

    points: np.ndarray
    candidate: np.ndarray
    kept: np.ndarray
    population: np.ndarray
    preference: np.ndarray | None = None
    classes: tuple[np.ndarray, ...] = ()
    spacing: Spacing | None = None

    @property
    def candidates(self) -> np.ndarray:
        """Index of each place that may be chosen."""
        return np.flatnonzero(self.candidate)

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Return the preference of places over its mean; 1 where all are wanted alike."""
        if self.preference is None:
            return np.ones(len(rows))
        mean = self.preference[rows].mean() if len(rows) else 0.0
        return self.preference[rows] / mean if mean > 0 else np.ones(len(rows))


def standardise(X: np.ndarray, population: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return covariates less their mean over the population, divided by their deviation there.

    Parameters
    ----------
    X : (n, p) float64
    population : (n,) bool

    Returns
    -------
    points : (n, q) float64
        Of the covariates that differ within the population.
    varies : (p,) bool
        Which these are.
    """
    own = X[population]
    spread = np.ptp(own, axis=0)
    varies = spread > _SLACK * np.abs(own).max(axis=0)
    kept = X[:, varies]
    own = own[:, varies]
    return (kept - own.mean(axis=0)) / own.std(axis=0), np.asarray(varies)


def mean_nearest(points: np.ndarray, chosen: np.ndarray) -> float:
    """Return the mean distance of points to the nearest chosen point (quantisation error).

    Examples
    --------
    >>> mean_nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.0], [4.0]])).__round__(3)
    0.667
    """
    return float(cdist(points, chosen).min(axis=1).mean())


def draw_in_order(order: np.ndarray, count: int, spacing: Spacing | None) -> np.ndarray:
    """Return the first `count` places of an order, passing over those too near to earlier ones.

    Fewer where no more are far enough.
    """
    if spacing is None:
        return order[:count]
    chosen: list[int] = []
    left = order
    while len(left) and len(chosen) < count:
        chosen.append(int(left[0]))
        left = left[1:][spacing.far_enough(left[1:], left[:1])]
    return np.array(chosen, dtype=np.int64)


def pack(sites: Sites, count: int) -> np.ndarray:
    """Return candidates that all lie far enough apart, as many as are found, `count` at most.

    Found one after the other, along each axis in both directions and beginning with those that
    have fewest others too near; the most that there are is a hard problem, so a few more may fit.
    """
    rows = sites.candidates
    if sites.spacing is None:
        return rows[:count]
    positions = sites.spacing.positions[rows]
    orders = [np.arange(len(rows))]
    for axis in range(positions.shape[1]):
        others = [positions[:, other] for other in range(positions.shape[1]) if other != axis]
        along = np.lexsort((*others, positions[:, axis]))
        orders += [along, along[::-1]]
    near = cKDTree(positions).query_ball_point(
        positions, sites.spacing.distance * (1.0 - _SLACK), return_length=True
    )
    orders.append(np.argsort(near, kind="stable"))
    best = np.empty(0, dtype=np.int64)
    for order in orders:
        found = draw_in_order(rows[order], count, sites.spacing)
        if len(found) > len(best):
            best = found
        if len(best) >= count:
            break
    return best


def check_fit(sites: Sites, count: int) -> None:
    """Raise `InputError` where the places asked for do not fit."""
    if count > len(sites.candidates):
        raise InputError(
            f"COUNT is {count}, but there are {len(sites.candidates)} places to choose from.",
            "Choose a smaller COUNT.",
        )
    fits = len(pack(sites, count))
    if fits < count:
        distance = sites.spacing.distance if sites.spacing else 0.0
        raise InputError(
            f"COUNT is {count}, but only {fits} places at least {distance:g} m apart were found.",
            f"Choose a COUNT of {fits} or less, or a smaller MIN_DISTANCE.",
        )
