"""Which local weight to choose, and what spiking may be said to have brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LOCAL_SPIKES = 6


@dataclass(frozen=True)
class Candidate:
    """A share of the training weight that local rows could hold.

    Attributes
    ----------
    share : float
        0 = pooled, every row weighs the same.
    weight : float
        Of a local row relative to a global one.
    mse : float
        Mean over spike stations of the mean squared error with the station left out.
    excess, standard_error : float
        Mean over stations of the difference to the candidate of the smallest mean, and its
        standard error.
    chosen : bool
    """

    share: float
    weight: float
    mse: float
    excess: float
    standard_error: float
    chosen: bool


@dataclass(frozen=True)
class Verdict:
    """What leaving spike stations out says, paired over stations.

    Attributes
    ----------
    stations : int
    against_global, against_local : float
        t of the mean gain in squared error over the base model, and of local readings alone over
        the spiked model. ``against_local`` is NaN below six stations.
    """

    stations: int
    against_global: float
    against_local: float

    @property
    def spiking(self) -> str:
        """``helps`` (t > 2), ``probably`` (1–2) or ``not shown``."""
        if self.against_global > 2:
            return "helps"
        return "probably" if self.against_global >= 1 else "not shown"

    @property
    def local_may_do_better(self) -> bool:
        """Whether local readings alone may do better than the spiked model."""
        return bool(self.against_local > 1)


def choose_candidate(
    shares: Sequence[float], weights: Sequence[float], errors: Sequence[Mapping[str, float]]
) -> tuple[Candidate, ...]:
    """Apply the one-standard-error rule to the squared errors of left-out stations.

    The first candidate, from pooled on, whose mean excess over the best is within one standard
    error of that excess. The plain minimum overfits.

    Parameters
    ----------
    shares, weights : sequence of float
        Ascending.
    errors : sequence of mapping
        Mean squared error by station, one mapping a candidate.
    """
    names = sorted(errors[0])
    table = np.array([[one[name] for name in names] for one in errors])
    means = table.mean(axis=1)
    best = int(np.argmin(means))
    difference = table - table[best]
    excess = difference.mean(axis=1)
    error = difference.std(axis=1, ddof=1) / np.sqrt(len(names))
    first = int(np.flatnonzero(excess <= error)[0])
    return tuple(
        Candidate(
            float(share),
            float(weight),
            float(means[i]),
            float(excess[i]),
            float(error[i]),
            i == first,
        )
        for i, (share, weight) in enumerate(zip(shares, weights))
    )


def judge(
    before: Mapping[str, float], after: Mapping[str, float], local: Mapping[str, float]
) -> Verdict:
    """Compare squared errors of left-out stations before and after spiking, and local alone."""
    names = sorted(after)
    gain = np.array([before[name] - after[name] for name in names])
    loss = np.array([after[name] - local[name] for name in names])
    return Verdict(
        stations=len(names),
        against_global=paired_t(gain),
        against_local=paired_t(loss) if len(names) >= LOCAL_SPIKES else float("nan"),
    )


def paired_t(difference: np.ndarray) -> float:
    """Return mean / standard error of `difference`, (k,); 0 where all are 0."""
    mean = float(difference.mean())
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    if error == 0:
        return 0.0 if mean == 0 else float(np.sign(mean) * np.inf)
    return mean / error
