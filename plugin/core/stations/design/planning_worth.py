"""What each planned probe adds, and in which order they are worth most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from ...progress import Progress
from .designs_sites import Sites


@dataclass(frozen=True, eq=False)
class Worth:
    """What planned probes add, in the order in which each adds most to those before.

    Attributes
    ----------
    order : (k,) int64
        Which of the planned probes comes first, second, …
    share : (k,) float64
        Share of the field's cells that are nearest to it in covariate space when all stand.
    mean_distance : (k,) float64
        Mean distance of the cells to the nearest probe in covariate space (standard deviations of
        the covariates) when it and those before stand.
    gain : (k,) float64
        By how much it lowers that mean distance, relative; NaN for the first where none stands.
    nearest_m : (k,) float64
        Metres to the nearest other probe, planned or standing; NaN without one.
    """

    order: np.ndarray
    share: np.ndarray
    mean_distance: np.ndarray
    gain: np.ndarray
    nearest_m: np.ndarray


def rank_probes(
    sites: Sites,
    chosen: np.ndarray,
    metres: np.ndarray,
    standing: np.ndarray,
    progress: Progress,
) -> Worth:
    """Put planned probes in order: always next the one that lowers the mean distance most.

    Parameters
    ----------
    sites : Sites
        The field's cells are the population, the probes that stand are kept.
    chosen : (k,) int64
        Rows of the planned probes.
    metres : (n, d) float64
        Cells in metres; those of the probes that stand may be left out at the end.
    standing : (m, d) float64
        All standing probes in metres.
    """
    field, kept = sites.points[sites.population], sites.points[sites.kept]
    apart = cdist(field, sites.points[chosen])
    gap = np.full(len(field), np.inf)
    if len(kept):
        gap = cdist(field, kept).min(axis=1)
    settled = gap
    means = [float(gap.mean())]
    order: list[int] = []
    left = list(range(len(chosen)))
    while left:
        progress.step(len(order) / len(chosen))
        after = [float(np.minimum(gap, apart[:, one]).mean()) for one in left]
        best = left.pop(int(np.argmin(after)))
        order.append(best)
        gap = np.minimum(gap, apart[:, best])
        means.append(float(gap.mean()))
    mean = np.array(means)
    gain = np.full(len(order), np.nan)
    known = np.isfinite(mean[:-1]) & (mean[:-1] > 0)
    gain[known] = 1.0 - mean[1:][known] / mean[:-1][known]
    ranked = np.array(order, dtype=np.int64)
    nearest = apart[:, ranked].argmin(axis=1)
    own = apart[:, ranked].min(axis=1) < settled
    share = np.bincount(nearest[own], minlength=len(order)) / len(field)
    return Worth(ranked, share, mean[1:], gain, nearest_other(metres[chosen[ranked]], standing))


def nearest_other(metres: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """Return the distance of each new probe to the nearest other one, new or standing; NaN alone.

    Parameters
    ----------
    metres : (n, d), standing : (m, d) float64
    """
    apart = cdist(metres, np.concatenate([metres, standing]))
    apart[np.arange(len(metres)), np.arange(len(metres))] = np.inf
    nearest = apart.min(axis=1)
    return np.where(np.isfinite(nearest), nearest, np.nan)
