"""Paired comparison of two models over stations: signed ranks and the shift between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

#: Fewer stations than this are described, not tested.
FEWEST_STATIONS = 6

_EXACT_UP_TO = 200
_NORMAL_975 = 1.959963984540054


@dataclass(frozen=True)
class PairedTest:
    """A paired comparison over stations (after − before).

    Attributes
    ----------
    n : int
        Stations that have both values.
    p : float or None
        Two-sided p-value of Wilcoxon's signed-rank test; None below six stations or where no
        station differs. Descriptive: stations of one field share dates and the model.
    shift : float or None
        Hodges–Lehmann estimate, the median of the means of all pairs of differences.
    low, high : float or None
        Its 95 % interval; None below six stations.
    """

    n: int
    p: float | None
    shift: float | None
    low: float | None
    high: float | None


def paired_tests(before: Mapping[str, float], after: Mapping[str, float]) -> PairedTest:
    """Compare a score of the same stations before and after.

    Stations that lack a finite value on either side are left out.

    Notes
    -----
    Wilcoxon (1945, doi:10.2307/3001968), exact given the ranks, ties included, up to 200
    differing stations, else normal with continuity and tie correction; equal stations are
    dropped. The interval of the shift is Hodges & Lehmann's (1963,
    doi:10.1214/aoms/1177704172) from the ordered Walsh averages.
    """
    names = [name for name in before if name in after]
    differences = np.array([after[name] - before[name] for name in names], dtype=float)
    return signed_rank_test(differences)


def signed_rank_test(differences: np.ndarray) -> PairedTest:
    """Test whether paired differences are centred on nought; see :func:`paired_tests`."""
    d = np.asarray(differences, dtype=float)
    d = d[np.isfinite(d)]
    if not d.size:
        return PairedTest(0, None, None, None, None)
    walsh = walsh_averages(d)
    shift = float(np.median(walsh))
    if d.size < FEWEST_STATIONS:
        return PairedTest(int(d.size), None, shift, None, None)
    low, high = _shift_interval(walsh, int(d.size))
    return PairedTest(int(d.size), _p_value(d[d != 0.0]), shift, low, high)


def walsh_averages(differences: np.ndarray) -> np.ndarray:
    """Return the sorted means of all pairs of values, each value with itself included."""
    i, j = np.triu_indices(differences.size)
    return np.sort((differences[i] + differences[j]) / 2.0)


def _p_value(d: np.ndarray) -> float | None:
    if not d.size:
        return None
    doubled = _doubled_midranks(np.abs(d))
    statistic = int(doubled[d > 0.0].sum())
    total = int(doubled.sum())
    if d.size <= _EXACT_UP_TO:
        cumulative = _null_distribution(doubled)
        smaller = min(statistic, total - statistic)
        return min(1.0, 2.0 * float(cumulative[smaller]))
    # the variance of a sum of signed doubled ranks holds the tie correction already
    spread = sqrt(float(np.sum(doubled.astype(float) ** 2)) / 4.0)
    distance = max(0.0, abs(statistic - total / 2.0) - 1.0)
    return min(1.0, erfc(distance / spread / sqrt(2.0)))


def _doubled_midranks(values: np.ndarray) -> np.ndarray:
    """Twice the ranks, so that the midranks of ties stay whole numbers."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse]


def _null_distribution(ranks: np.ndarray) -> np.ndarray:
    """Cumulative chance that a random choice of `ranks` (whole numbers) adds up to 0, 1, 2 …"""
    chance = np.zeros(int(ranks.sum()) + 1)
    chance[0] = 1.0
    for rank in ranks.tolist():
        shifted = np.zeros_like(chance)
        shifted[rank:] = chance[: chance.size - rank]
        chance = (chance + shifted) / 2.0
    return np.cumsum(chance)


def _shift_interval(walsh: np.ndarray, n: int) -> tuple[float, float]:
    if n <= _EXACT_UP_TO:
        cumulative = _null_distribution(np.arange(1, n + 1))
        # the smallest sum whose cumulative chance reaches 2.5 % (tolerance: rounding of the sums)
        rank = int(np.searchsorted(cumulative, 0.025 * (1.0 - 1e-12)))
    else:
        centre, spread = n * (n + 1) / 4.0, sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
        rank = int(centre - _NORMAL_975 * spread)
    rank = max(rank, 1)
    return float(walsh[rank - 1]), float(walsh[walsh.size - rank])
