"""How two maps differ, from pairs of cells that come tile by tile."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

BINS = 20  # of the Kullback–Leibler divergence
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_ADDED = 0.5  # to each count of the divergence
_FINE = 2**18  # bins that quantiles are taken from
_SHOWN = 60
_DENSITY = 240


class PairMoments:
    """Means, deviations and errors of pairs of values, in one pass.

    Sums of squares about the mean are merged tile by tile, so nothing cancels; the same tiles in
    the same order give the same numbers.

    Parameters
    ----------
    threshold : float
        Differences beyond it, in either direction, are counted.

    References
    ----------
    Chan, Golub & LeVeque (1983), The American Statistician 37(3),
    doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, threshold: float = 0.05) -> None:
        self.threshold = threshold
        self.n = 0
        self.means = np.zeros(2)
        self.products = np.zeros((2, 2))
        self.low = np.full(3, np.inf)
        self.high = np.full(3, -np.inf)
        self.absolute = 0.0
        self.wetter = self.drier = 0
        self.above_one = np.zeros(2, dtype=np.int64)
        self.below_zero = np.zeros(2, dtype=np.int64)
        self.bounded = self.inside = 0
        self.width = 0.0

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Take in pairs, both float64 (k,) and finite."""
        k = first.size
        if not k:
            return
        pairs = np.stack([first, second])
        difference = first - second
        means = pairs.mean(axis=1)
        about = pairs - means[:, None]
        step = means - self.means
        total = self.n + k
        self.products += about @ about.T + np.outer(step, step) * (self.n * k / total)
        self.means = self.means + step * (k / total)
        self.n = total
        for place, values in enumerate((first, second, difference)):
            self.low[place] = min(self.low[place], values.min())
            self.high[place] = max(self.high[place], values.max())
        self.absolute += float(np.abs(difference).sum())
        self.wetter += int((difference > self.threshold).sum())
        self.drier += int((difference < -self.threshold).sum())
        self.above_one += (pairs > 1).sum(axis=1)
        self.below_zero += (pairs < 0).sum(axis=1)

    def add_interval(self, reference: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Take in values and the bounds of their 90 % intervals, each (k,) and finite."""
        self.bounded += reference.size
        self.inside += int(((reference >= low) & (reference <= high)).sum())
        self.width += float((high - low).sum())

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations of the cells (sums divided by n), shape (2,)."""
        return np.asarray(np.sqrt(np.diag(self.products) / self.n))

    @property
    def me(self) -> float:
        """Mean of first − second."""
        return float(self.means[0] - self.means[1])

    @property
    def ubrmse(self) -> float:
        """Standard deviation of the differences."""
        (aa, ab), (_, bb) = self.products
        return math.sqrt(max(0.0, (aa + bb - 2 * ab) / self.n))

    @property
    def rmse(self) -> float:
        """Root of the mean squared difference."""
        return math.hypot(self.me, self.ubrmse)

    @property
    def r(self) -> float | None:
        """Pearson's r; None where a map is constant."""
        if not self._vary:
            return None
        (aa, ab), (_, bb) = self.products
        return float(np.clip(ab / math.sqrt(aa * bb), -1.0, 1.0))

    @property
    def slope(self) -> float | None:
        """Slope of the second on the first; None where a map is constant."""
        return float(self.products[0, 1] / self.products[0, 0]) if self._vary else None

    @property
    def r2(self) -> float | None:
        """1 − SSE/SST about the mean of the second; None where that is constant."""
        if not self._vary_of(1):
            return None
        return float(1.0 - self.n * self.rmse**2 / self.products[1, 1])

    @property
    def _vary(self) -> bool:
        return self._vary_of(0) and self._vary_of(1)

    def _vary_of(self, place: int) -> bool:
        return bool(self.n > 1 and self.high[place] > self.low[place])


class Histogram:
    """Counts of values in equal bins between two ends; what lies beyond goes into the last."""

    def __init__(self, low: float, high: float, bins: int) -> None:
        self.low, self.high = low, high
        self.counts = np.zeros(bins, dtype=np.int64)

    def add(self, values: np.ndarray) -> None:
        """Take in values (k,)."""
        self.counts += np.bincount(self.place(values), minlength=self.counts.size)

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value."""
        span = self.high - self.low
        if span <= 0:
            return np.zeros(values.size, dtype=np.int64)
        scaled = (values - self.low) / span * self.counts.size
        return np.asarray(np.clip(scaled.astype(np.int64), 0, self.counts.size - 1))

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins, one more than there are bins."""
        return np.linspace(self.low, self.high, self.counts.size + 1)

    def quantile(self, level: float) -> float:
        """Return a quantile by NumPy's linear rule, to half a bin; the ends exactly."""
        n = int(self.counts.sum())
        if not n:
            return float("nan")
        rank = level * (n - 1)
        below, above = self._value(math.floor(rank), n), self._value(math.ceil(rank), n)
        return below + (above - below) * (rank - math.floor(rank))

    def _value(self, rank: int, n: int) -> float:
        """Return the value of a rank from 0."""
        if rank == 0 or rank == n - 1:
            return self.low if rank == 0 else self.high
        place = int(np.searchsorted(np.cumsum(self.counts), rank, side="right"))
        return self.low + (place + 0.5) * (self.high - self.low) / self.counts.size


@dataclass
class PairCounts:
    """Distributions of two maps and of their difference, in a second pass over the pairs.

    Parameters
    ----------
    moments : PairMoments
        Of the same pairs: its smallest and largest values are the ends of the bins.
    """

    moments: PairMoments
    divergence_counts: tuple[Histogram, Histogram] = field(init=False)
    shown: tuple[Histogram, Histogram, Histogram] = field(init=False)
    fine: tuple[Histogram, Histogram, Histogram] = field(init=False)
    density: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        low, high = self.moments.low, self.moments.high
        ends = (float(low[:2].min()), float(high[:2].max()))
        reach = max(abs(float(low[2])), abs(float(high[2])))
        self.divergence_counts = (Histogram(*ends, BINS), Histogram(*ends, BINS))
        self.shown = (
            Histogram(*ends, _SHOWN),
            Histogram(*ends, _SHOWN),
            Histogram(-reach, reach, 2 * _SHOWN),
        )
        first, second, third = (Histogram(float(low[i]), float(high[i]), _FINE) for i in range(3))
        self.fine = (first, second, third)
        self.density = np.zeros((_DENSITY, _DENSITY), dtype=np.int64)

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value of both maps."""
        one = self.divergence_counts[0]
        return one.low, one.high

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Take in pairs, both float64 (k,) and finite."""
        for values, bins in zip((first, second), self.divergence_counts):
            bins.add(values)
        for values, shown, fine in zip((first, second, first - second), self.shown, self.fine):
            shown.add(values)
            fine.add(values)
        axis = Histogram(*self.ends, _DENSITY)
        places = axis.place(second) * _DENSITY + axis.place(first)
        found = np.bincount(places, minlength=self.density.size)
        self.density += found.reshape(self.density.shape)

    @property
    def divergence(self) -> float:
        """Kullback–Leibler divergence of the first map from the second, the truth, in nats."""
        return divergence(self.divergence_counts[1].counts, self.divergence_counts[0].counts)

    def quantiles(self, place: int) -> dict[float, float]:
        """Return the quantiles of the first map (0), the second (1) or the difference (2)."""
        return {level: self.fine[place].quantile(level) for level in QUANTILES}


def divergence(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the Kullback–Leibler divergence K–L(T‖P) = Σ p_b ln(p_b / q_b) of counts, in nats.

    Parameters
    ----------
    truth, predicted : int array, shape (bins,)
        Counts in the same bins; 0.5 is added to each, so that empty bins stay finite.

    References
    ----------
    Kullback & Leibler (1951), doi:10.1214/aoms/1177729694.

    Examples
    --------
    >>> divergence(np.array([3, 5]), np.array([3, 5]))
    0.0
    """
    p = (truth + _ADDED) / (truth + _ADDED).sum()
    q = (predicted + _ADDED) / (predicted + _ADDED).sum()
    return float(np.sum(p * np.log(p / q)))
