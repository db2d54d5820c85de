"""Feature-space coverage: places spread evenly over the space of the covariates.

Places are clustered by k-means, and the member nearest to each centre is chosen [1]_. Places
chosen already are centres that do not move (infill sampling, [2]_ section 18).

References
----------
.. [1] Brus, D. J. (2019). Sampling for digital soil mapping: A tutorial supported by R scripts.
   Geoderma 338, 464-480. https://doi.org/10.1016/j.geoderma.2018.07.036
.. [2] Brus, D. J. (2022). Spatial Sampling with R. Chapman and Hall/CRC.
   https://doi.org/10.1201/9781003258940
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from ...progress import Progress
from .designs_sites import Sites

STARTS = 10
"""k-means begins so many times; the best result counts."""
MOST_STEPS = 300

_SILENT = Progress()


@dataclass(frozen=True, eq=False)
class Clusters:
    """A result of k-means.

    Attributes
    ----------
    centres : (f + k, p) float64
        The fixed ones first.
    label : (n,) int64
        Index of the centre nearest to each point.
    inertia : float
        Sum of weight × squared distance to the nearest centre.
    """

    centres: np.ndarray
    label: np.ndarray
    inertia: float


def k_means(
    points: np.ndarray,
    count: int,
    rng: np.random.Generator,
    *,
    weight: np.ndarray | None = None,
    fixed: np.ndarray | None = None,
    starts: int = STARTS,
    progress: Progress = _SILENT,
) -> Clusters:
    """Cluster points around `count` free centres beside the fixed ones; the best of `starts`.

    Starts are drawn by k-means++ (Arthur & Vassilvitskii 2007).

    Parameters
    ----------
    points : (n, p) float64
    weight : (n,) float64, optional
        0 or above.
    fixed : (f, p) float64, optional
        Centres that do not move.
    """
    weight = np.ones(len(points)) if weight is None else weight
    fixed = np.empty((0, points.shape[1])) if fixed is None else fixed
    best: Clusters | None = None
    for start in range(max(starts, 1)):
        progress.step(start / starts)
        first = _spread(points, weight, fixed, count, rng)
        found = settle(points, weight, first, len(fixed), progress)
        if best is None or found.inertia < best.inertia * (1.0 - 1e-12):
            best = found
    if best is None:  # `starts` is at least one
        raise ValueError("k-means needs a start")
    return best


def settle(
    points: np.ndarray,
    weight: np.ndarray,
    centres: np.ndarray,
    fixed: int = 0,
    progress: Progress = _SILENT,
) -> Clusters:
    """Move all centres but the first `fixed` to the mean of their members until none changes.

    Lloyd's algorithm. A centre without members goes to the point that adds most to the inertia.
    """
    centres = centres.copy()
    rows = np.arange(len(points))
    label = np.full(len(points), -1)
    for _ in range(MOST_STEPS):
        progress.check()
        distance = cdist(points, centres, "sqeuclidean")
        nearest = distance.argmin(axis=1)
        if (nearest == label).all():
            break
        label = nearest
        own = distance[rows, label] * weight
        _move(points, weight, centres, label, own, fixed)
    distance = cdist(points, centres, "sqeuclidean")
    label = distance.argmin(axis=1)
    return Clusters(centres, label, float((distance[rows, label] * weight).sum()))


def choose_coverage(
    sites: Sites, count: int, rng: np.random.Generator, progress: Progress
) -> np.ndarray:
    """Return the candidates nearest to the centres of the free clusters, large clusters first.

    The population is clustered, each place weighed by its preference, so centres gather where
    that is high; the candidate of the cluster that lies nearest to its centre is chosen. Where a
    cluster has none (that is far enough from the others chosen), the nearest of any cluster is;
    fewer than `count` where none is left.
    """
    field = np.flatnonzero(sites.population & ~sites.kept)
    points, weight = sites.points[field], sites.weights(field)
    fixed = sites.points[sites.kept]
    clusters = k_means(points, count, rng, weight=weight, fixed=fixed, progress=progress)
    size = np.bincount(clusters.label, weight, len(clusters.centres))
    rows = sites.candidates
    distance = cdist(sites.points[rows], clusters.centres)
    label = distance.argmin(axis=1)
    taken = np.zeros(len(rows), dtype=bool)
    for centre in sorted(range(len(fixed), len(size)), key=lambda centre: -size[centre]):
        progress.check()
        left = ~taken
        if sites.spacing is not None:
            left &= sites.spacing.far_enough(rows, rows[taken])
        members = left & (label == centre)
        eligible = np.flatnonzero(members if members.any() else left)
        if len(eligible):
            taken[eligible[distance[eligible, centre].argmin()]] = True
    return rows[taken]


def _spread(
    points: np.ndarray,
    weight: np.ndarray,
    fixed: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    centres = list(fixed)
    gap = cdist(points, fixed, "sqeuclidean").min(axis=1) if len(fixed) else np.ones(len(points))
    for place in range(count):
        chance = gap * weight
        total = chance.sum()
        if total > 0:
            drawn = int(np.searchsorted(np.cumsum(chance), rng.random() * total, side="right"))
            drawn = min(drawn, len(points) - 1)
        else:
            drawn = int(rng.integers(len(points)))
        centres.append(points[drawn])
        distance = ((points - points[drawn]) ** 2).sum(axis=1)
        first = place == 0 and not len(fixed)
        gap = distance if first else np.minimum(gap, distance)
    return np.array(centres).reshape(-1, points.shape[1])


def _move(
    points: np.ndarray,
    weight: np.ndarray,
    centres: np.ndarray,
    label: np.ndarray,
    own: np.ndarray,
    fixed: int,
) -> None:
    mass = np.bincount(label, weight, len(centres))
    sums = np.stack([np.bincount(label, weight * x, len(centres)) for x in points.T], axis=1)
    filled = mass > 0
    filled[:fixed] = False
    centres[filled] = sums[filled] / mass[filled, None]
    empty = np.flatnonzero(np.bincount(label, minlength=len(centres)) == 0)
    empty = empty[empty >= fixed]
    far = np.argsort(-own, kind="stable")[: len(empty)]
    for centre, point in zip(empty, far):
        if own[point] > 0:
            centres[centre] = points[point]
