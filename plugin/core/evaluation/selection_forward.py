"""Forward selection: from the best pair on, the covariate that helps most at stations not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .selection import CovariateSet, SetScorer


@dataclass(frozen=True, eq=False)
class ForwardStep:
    """One set of a forward selection.

    Attributes
    ----------
    covariate : str
        What came in last.
    scored : CovariateSet
    gain, error : float or None
        Fall of the mean fold RMSE from the set before, and its standard error over the folds,
        m³ m⁻³; None for the first.
    taken : bool
        Whether it belongs to the selection; the last step is the best of what was refused.
    """

    covariate: str
    scored: CovariateSet
    gain: float | None
    error: float | None
    taken: bool


def forward_cost(covariates: int) -> int:
    """Return the most sets that a forward selection from pairs on scores, (p − 1)², and 2 alone."""
    return (covariates - 1) ** 2 + 2


def select_forward(scorer: SetScorer, tolerance: float, progress: Progress) -> list[ForwardStep]:
    """Add covariates while the mean RMSE over the station folds falls [1]_.

    All pairs are tried; to the best, the covariate with the smallest mean fold RMSE is added as
    long as that falls by more than `tolerance` (a share) and by more than one standard error of
    the difference over the folds. Of equal sets the first by name is taken.

    Returns
    -------
    list of ForwardStep
        The better covariate of the best pair alone, the pair, each set after it, and the first
        that was refused.

    Raises
    ------
    InputError
        Fewer than two covariates.

    References
    ----------
    .. [1] Meyer, H. et al. (2018). Improving performance of spatio-temporal machine learning
       models using forward feature selection and target-oriented validation. Environmental
       Modelling & Software, 101, 1-9. https://doi.org/10.1016/j.envsoft.2017.12.001
    """
    names = scorer.rows.covariates
    if len(names) < 2:
        raise InputError(
            f"Forward selection starts with pairs, but there is one covariate ({names[0]}).",
            "Name at least two in COVARIATES.",
        )
    walk = _Walk(scorer, forward_cost(len(names)), progress)
    pair = walk.best(combinations(names, 2))
    alone = walk.best((name,) for name in pair.names)
    second = next(name for name in pair.names if name not in alone.names)
    gain, error = paired_gain(alone, pair)
    steps = [
        ForwardStep(alone.names[0], alone, None, None, True),
        ForwardStep(second, pair, gain, error, True),
    ]
    while len(steps[-1].scored.names) < len(names):
        now = steps[-1].scored
        added = walk.best((*now.names, name) for name in names if name not in now.names)
        gain, error = paired_gain(now, added)
        taken = gain > max(tolerance * now.mean_fold_rmse, error)
        covariate = next(name for name in added.names if name not in now.names)
        steps.append(ForwardStep(covariate, added, gain, error, taken))
        if not taken:
            break
    return steps


def paired_gain(before: CovariateSet, after: CovariateSet) -> tuple[float, float]:
    """Return by how much the mean fold RMSE falls, and the standard error of that over folds."""
    difference = np.sqrt(before.fold_mse) - np.sqrt(after.fold_mse)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return float(difference.mean()), float(error)


class _Walk:
    """Scores sets, and says how many of at most `total` are done."""

    def __init__(self, scorer: SetScorer, total: int, progress: Progress) -> None:
        self._scorer = scorer
        self._total = total
        self._progress = progress
        self._done = 0

    def best(self, sets: Iterable[tuple[str, ...]]) -> CovariateSet:
        """Return the set of the smallest mean fold RMSE, the first by name of equal ones."""
        scored = []
        for names in sets:
            start, stop = self._done / self._total, (self._done + 1) / self._total
            scored.append(self._scorer.score(names, self._progress.part(start, min(stop, 1.0))))
            self._done += 1
        return min(scored, key=lambda one: (one.mean_fold_rmse, one.names))
