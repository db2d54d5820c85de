"""Covariates added one at a time by rank, and the smallest set after which nothing improves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..progress import Progress
from .selection import CovariateSet, SetScorer

#: Scores of the stopping rule, by the names of the metrics table.
RULED = ("r", "ubrmse", "me", "slope")


def successive_sets(
    scorer: SetScorer, ranked: Sequence[str], progress: Progress
) -> list[CovariateSet]:
    """Score the first covariate, the first two, … of `ranked` at stations not seen [1]_.

    References
    ----------
    .. [1] Fan, D. et al. (2022). Estimating high-resolution soil moisture over mountainous
       regions using remotely-sensed multispectral and topographic data. IEEE JSTARS.
    """
    total = len(ranked)
    return [
        scorer.score(ranked[: number + 1], progress.part(number / total, (number + 1) / total))
        for number in range(total)
    ]


def choose_set(sets: Sequence[CovariateSet], tolerance: float) -> int:
    """Return the place of the smallest set after which no score improves beyond `tolerance`.

    A set is compared with every larger one, so that a level stretch in between does not end the
    search; see `improvements` for what counts.
    """
    for place, one in enumerate(sets):
        if not any(improvements(one, larger, tolerance) for larger in sets[place + 1 :]):
            return place
    return len(sets) - 1


def improvements(before: CovariateSet, after: CovariateSet, tolerance: float) -> tuple[str, ...]:
    """Return the scores, of `RULED`, that improve beyond `tolerance` from one set to another.

    r where it rises by more than `tolerance`, ubRMSE where it falls by more than that share.
    Bias and slope scatter about 0 and 1, so a plain difference would count noise: they improve
    where, everything else being as before, the RMSE would fall by more than that share. The
    squared error is ME² + (slope − 1)² · variance of the predictions + the rest [1]_. A score that
    cannot be computed is worse than any that can.

    References
    ----------
    .. [1] Murphy, A. H. (1988). Skill scores based on the mean square error and their
       relationships to the correlation coefficient. Monthly Weather Review, 116, 2417-2424.
    """
    first, second = _losses(before), _losses(after)
    least = (1 - (1 - tolerance) ** 2) * before.rmse**2
    limits = {
        "r": tolerance,
        "ubrmse": tolerance * first["ubrmse"],
        "me": least,
        "slope": least,
    }
    found = []
    for name in RULED:
        if first[name] > second[name] and first[name] - second[name] > limits[name]:
            found.append(name)
    return tuple(found)


def _losses(scored: CovariateSet) -> dict[str, float]:
    """Return the ruled scores as losses: the smaller the better, infinite where missing.

    −r; ubRMSE; the parts of the squared error that bias and slope make.
    """
    scores = scored.scores
    r, slope = scores["r"], scores["slope"]
    return {
        "r": math.inf if r is None else -float(r),
        "ubrmse": float(scores["ubrmse"]),
        "me": float(scores["me"]) ** 2,
        "slope": math.inf if slope is None else (float(slope) - 1) ** 2 * scored.spread**2,
    }
