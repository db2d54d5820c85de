"""How sure scores are: intervals from drawing stations again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_STATIONS = 6
"""Below so many stations no interval is given."""
DRAWS = 2000
LEVEL = 0.95
SCORES = ("me", "rmse", "ubrmse", "mae", "r2", "r", "slope", "picp90")


@dataclass(frozen=True)
class ScoreInterval:
    """Where 95 % of the scores lie when stations are drawn with replacement."""

    low: float
    high: float


def score_intervals(
    observed: np.ndarray,
    predicted: np.ndarray,
    station: np.ndarray,
    *,
    inside: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 42,
) -> dict[str, ScoreInterval]:
    """Return percentile bootstrap intervals of pooled scores, drawing whole stations.

    Readings of one station are not independent, so stations are drawn, each with all its rows
    (cluster bootstrap; Davison & Hinkley 1997, doi:10.1017/CBO9780511802843, section 3.8).
    Stations of one field share dates and weather: the intervals are then too narrow.

    Parameters
    ----------
    observed, predicted : ndarray, shape (n,)
        m³ m⁻³; rows where either is not finite are left out.
    station : ndarray, shape (n,)
    inside : ndarray of float, shape (n,), optional
        1 where the reading is inside the 90 % prediction interval, 0 where not, NaN unknown.
    draws : int
    seed : int

    Returns
    -------
    dict
        By score; empty below 6 stations. A score that cannot be computed in a twentieth of the
        draws or more is left out.
    """
    used = np.isfinite(observed) & np.isfinite(predicted)
    o, p = np.asarray(observed, float)[used], np.asarray(predicted, float)[used]
    names, code = np.unique(np.asarray(station)[used].astype(str), return_inverse=True)
    if len(names) < FEWEST_STATIONS:
        return {}
    flag = np.full(o.size, np.nan) if inside is None else np.asarray(inside, float)[used]
    sums = _station_sums(o - o.mean(), p - o.mean(), flag, code)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    values = _scores(drawn @ sums)
    edges = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    found = {}
    for name in SCORES:
        known = values[name][np.isfinite(values[name])]
        if known.size > 0.95 * draws:
            low, high = np.quantile(known, edges)
            found[name] = ScoreInterval(float(low), float(high))
    return found


def _station_sums(o: np.ndarray, p: np.ndarray, inside: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Return what the scores are made of, summed over the rows of each station."""
    error = p - o
    known = np.isfinite(inside)
    columns = (
        np.ones(o.size), error, error**2, np.abs(error), o, o**2, p, p**2, o * p,
        known.astype(float), np.where(known, inside, 0.0),
    )  # fmt: skip
    return np.column_stack([np.bincount(code, weights=column) for column in columns])


def _scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    n, e, ee, ae, o, oo, p, pp, op, known, inside = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        me = e / n
        so, sp, sop = oo - o * o / n, pp - p * p / n, op - o * p / n
        return {
            "me": me,
            "rmse": np.sqrt(ee / n),
            "ubrmse": np.sqrt(np.maximum(ee / n - me**2, 0.0)),
            "mae": ae / n,
            "r2": 1 - ee / so,
            "r": sop / np.sqrt(so * sp),
            "slope": sop / sp,
            "picp90": inside / known,
        }
