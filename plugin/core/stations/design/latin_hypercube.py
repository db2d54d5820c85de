"""Conditioned Latin hypercube: places whose covariates are distributed as those of all.

References
----------
.. [1] Minasny, B., McBratney, A. B. (2006). A conditioned Latin hypercube method for sampling in
   the presence of ancillary information. Computers & Geosciences 32, 1378-1388.
   https://doi.org/10.1016/j.cageo.2005.12.009
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...progress import Progress
from .designs_sites import Sites, draw_in_order

STEPS = 10_000
"""Of the annealing."""
HEAT, COOLING, COOLED_EVERY = 1.0, 0.95, 10
"""The temperature at first, what it is multiplied by, and after how many steps."""

_LOOKS = 256  # steps between two looks at whether the user stopped the run


@dataclass(frozen=True, eq=False)
class Hypercube:
    """What a sample is compared with. Made by `hypercube`.

    Attributes
    ----------
    points : (n, p) float64
    cell : (n, p) int64
        Stratum of each place in each covariate, numbered through over the covariates.
    strata : int
        k, the size of the sample.
    correlation : (p, p) float64
        Of the population, each place counting by its preference.
    classes : tuple of (n,) int64
    shares : tuple of (c,) float64
        Share of each class in the population, by preference too.
    kept : int
        How many of the sample are chosen already.
    """

    points: np.ndarray
    cell: np.ndarray
    strata: int
    correlation: np.ndarray
    classes: tuple[np.ndarray, ...]
    shares: tuple[np.ndarray, ...]
    kept: int

    def counts(self, sample: np.ndarray) -> np.ndarray:
        """Return how many of the sample lie in each stratum of each covariate, flat (p k,)."""
        return np.bincount(self.cell[sample].ravel(), minlength=self.strata * self.points.shape[1])

    def objective(self, sample: np.ndarray) -> float:
        """Return how far a sample, those chosen already first, is from the population.

        Σ|η - 1| over the k strata of equal probability of each covariate, + Σ|difference of class
        shares| + Σ|difference of correlations| over the whole matrix, each of weight 1 [1]_.
        """
        value = float(np.abs(self.counts(sample) - 1).sum())
        for codes, shares in zip(self.classes, self.shares):
            found = np.bincount(codes[sample], minlength=len(shares)) / len(sample)
            value += float(np.abs(found - shares).sum())
        value += float(np.abs(correlations(self.points[sample]) - self.correlation).sum())
        return value


def hypercube(sites: Sites, count: int) -> Hypercube:
    """Return what a sample of `count` new places beside those kept is compared with.

    Each place of the population counts by its preference, so the strata hold equal shares of it.
    """
    rows = np.flatnonzero(sites.population)
    own, weight = sites.points[rows], sites.weights(rows)
    strata = count + int(sites.kept.sum())
    levels = np.arange(1, strata) / strata
    cell = np.empty(sites.points.shape, dtype=np.int64)
    for column in range(cell.shape[1]):
        edges = weighted_quantiles(own[:, column], weight, levels)
        place = np.searchsorted(edges, sites.points[:, column], side="right")
        cell[:, column] = column * strata + place
    shares = []
    for codes in sites.classes:
        counts = np.bincount(codes[rows], weight, minlength=int(codes.max()) + 1)
        shares.append(counts / counts.sum())
    return Hypercube(
        points=sites.points,
        cell=cell,
        strata=strata,
        correlation=correlations(own, weight),
        classes=sites.classes,
        shares=tuple(shares),
        kept=int(sites.kept.sum()),
    )


def weighted_quantiles(values: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return quantiles of weighted values; with equal weights those of NumPy and R by default.

    The middle of each value's weight is its place between those of the first and the last.

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 2.0]), np.array([0.4]))
    array([2.])
    """
    if np.ptp(weight) == 0:
        return np.asarray(np.quantile(values, levels))
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weight[order]) - weight[order] / 2
    place = (middle - middle[0]) / (middle[-1] - middle[0])
    return np.interp(levels, place, values[order])


def correlations(points: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the correlation matrix; 0 where a covariate is the same at all points."""
    deviation = points - np.average(points, axis=0, weights=weight)
    if weight is not None:
        deviation = deviation * np.sqrt(weight)[:, None]
    length = np.sqrt((deviation**2).sum(axis=0))
    flat = length < 1e-12 * np.sqrt(len(points))
    scaled = deviation / np.where(flat, np.inf, length)
    return np.asarray(scaled.T @ scaled)


def choose_latin_hypercube(
    sites: Sites,
    count: int,
    rng: np.random.Generator,
    progress: Progress,
    *,
    steps: int = STEPS,
) -> np.ndarray:
    """Return `count` candidates that with those kept have the smallest objective found.

    Simulated annealing: in each step, by turns of chance, a place drawn at random or the one in
    the most crowded strata is exchanged for a random candidate; a worse sample is accepted with
    probability exp(-rise / temperature). The best sample met is returned, in order. Fewer than
    `count` where a smallest distance lets no start be found.
    """
    rows = rng.permutation(sites.candidates)
    chosen = draw_in_order(rows, count, sites.spacing)
    cube = hypercube(sites, count)
    outside = rows[~np.isin(rows, chosen)]
    if len(chosen) < count or not len(outside):
        return np.sort(chosen)
    kept = np.flatnonzero(sites.kept)
    sample = np.concatenate([kept, chosen])
    value = cube.objective(sample)
    best, best_value = sample.copy(), value
    draws = rng.random((steps, 4))
    for step, (turn, which, other, luck) in enumerate(draws.tolist()):
        if step % _LOOKS == 0:
            progress.step(step / steps)
        place = len(kept) + int(which * count)
        if turn < 0.5:
            place = _most_crowded(cube, sample, place)
        swap = int(other * len(outside))
        if not _keeps_distance(sites, sample[len(kept) :], place - len(kept), outside[swap]):
            continue
        tried = sample.copy()
        tried[place] = outside[swap]
        new_value = cube.objective(tried)
        heat = HEAT * COOLING ** (step // COOLED_EVERY)
        if new_value <= value or luck < np.exp(-(new_value - value) / max(heat, 1e-300)):
            outside[swap] = sample[place]
            sample, value = tried, new_value
            if value < best_value:
                best, best_value = sample.copy(), value
    return np.sort(best[len(kept) :])


def _most_crowded(cube: Hypercube, sample: np.ndarray, otherwise: int) -> int:
    """Return the place in the strata with most others; `otherwise` where all are alike."""
    crowd = cube.counts(sample)[cube.cell[sample[cube.kept :]]].sum(axis=1)
    highest = int(crowd.argmax())
    return cube.kept + highest if crowd[highest] > crowd.min() else otherwise


def _keeps_distance(sites: Sites, chosen: np.ndarray, place: int, newcomer: int) -> bool:
    if sites.spacing is None:
        return True
    others = np.delete(chosen, place)
    return bool(sites.spacing.far_enough(np.array([newcomer]), others)[0])
