"""How sure scores are: intervals from drawing stations again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anomaly import paired_anomalies

FEWEST_STATIONS = 6
"""Below so many stations no interval is given."""
DRAWS = 2000
LEVEL = 0.95
SCORES = (
    "me", "rmse", "ubrmse", "mae", "r2", "r", "slope", "anomaly_r", "picp90", "interval_score90",
)  # fmt: skip

_EDGES = (1 - LEVEL) / 2, (1 + LEVEL) / 2


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
    interval: np.ndarray | None = None,
    date: np.ndarray | None = None,
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
    interval : ndarray, shape (n,), optional
        Interval score of each row; NaN where `inside` is.
    date : ndarray of datetime64[D], shape (n,), optional
        Days of the rows, for the r of anomalies.
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
    unknown = np.full(o.size, np.nan)
    flag = unknown if inside is None else np.asarray(inside, float)[used]
    scored = unknown if interval is None else np.asarray(interval, float)[used]
    anomaly = (unknown, unknown)
    if date is not None:
        anomaly = paired_anomalies(o, p, np.asarray(date)[used], code)
    sums = _station_sums(o - o.mean(), p - o.mean(), (flag, scored), anomaly, code)
    values = _scores(_drawn_sums(sums, draws, seed))
    found = {}
    for name in SCORES:
        known = values[name][np.isfinite(values[name])]
        if known.size > 0.95 * draws:
            low, high = np.quantile(known, _EDGES)
            found[name] = ScoreInterval(float(low), float(high))
    return found


def share_intervals(
    inside: np.ndarray, station: np.ndarray, *, draws: int = DRAWS, seed: int = 42
) -> np.ndarray | None:
    """Return percentile bootstrap intervals of shares of rows, drawing whole stations.

    Parameters
    ----------
    inside : ndarray, shape (n, k)
        1 where the row counts, else 0, for each of k shares.
    station : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (2, k), or None
        Lower and upper ends; None below 6 stations.
    """
    means = _drawn_means(inside, station, draws, seed)
    return None if means is None else np.asarray(np.quantile(means, _EDGES, axis=0))


def difference_interval(
    errors: tuple[np.ndarray, np.ndarray],
    station: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 42,
) -> ScoreInterval | None:
    """Return the bootstrap interval of the RMSE of the first errors less that of the second.

    Parameters
    ----------
    errors : pair of ndarray, shape (n,)
        Errors of two predictions of the same rows, all finite.
    station : ndarray, shape (n,)

    Returns
    -------
    ScoreInterval or None
        None below 6 stations.
    """
    means = _drawn_means(np.column_stack(errors) ** 2, station, draws, seed)
    if means is None:
        return None
    first, second = np.sqrt(means).T
    low, high = np.quantile(first - second, _EDGES)
    return ScoreInterval(float(low), float(high))


def _drawn_means(
    values: np.ndarray, station: np.ndarray, draws: int, seed: int
) -> np.ndarray | None:
    """Return the means of columns (n, k) over the rows of drawn stations, (draws, k).

    None below 6 stations.
    """
    names, code = np.unique(np.asarray(station).astype(str), return_inverse=True)
    if len(names) < FEWEST_STATIONS:
        return None
    columns = [np.bincount(code)] + [np.bincount(code, weights=column) for column in values.T]
    sums = _drawn_sums(np.column_stack(columns), draws, seed)
    return np.asarray(sums[:, 1:] / sums[:, :1])


def _drawn_sums(sums: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the sums over stations drawn with replacement, (draws, k), of those by station."""
    stations = len(sums)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(stations, np.full(stations, 1 / stations), size=draws)
    return np.asarray(drawn @ sums)


def _station_sums(
    o: np.ndarray,
    p: np.ndarray,
    interval: tuple[np.ndarray, np.ndarray],
    anomaly: tuple[np.ndarray, np.ndarray],
    code: np.ndarray,
) -> np.ndarray:
    """Return what the scores are made of, summed over the rows of each station."""
    error = p - o
    inside, scored = interval
    known, there = np.isfinite(inside), np.isfinite(anomaly[0]) & np.isfinite(anomaly[1])
    a, b = (np.where(there, values, 0.0) for values in anomaly)
    columns = (
        np.ones(o.size), error, error**2, np.abs(error), o, o**2, p, p**2, o * p,
        known.astype(float), np.where(known, inside, 0.0), np.where(known, scored, 0.0),
        there.astype(float), a, a**2, b, b**2, a * b,
    )  # fmt: skip
    return np.column_stack([np.bincount(code, weights=column) for column in columns])


def _scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    n, e, ee, ae, o, oo, p, pp, op, known, inside, scored, m, a, aa, b, bb, ab = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        me = e / n
        so, sp, sop = oo - o * o / n, pp - p * p / n, op - o * p / n
        sa, sb, sab = aa - a * a / m, bb - b * b / m, ab - a * b / m
        return {
            "me": me,
            "rmse": np.sqrt(ee / n),
            "ubrmse": np.sqrt(np.maximum(ee / n - me**2, 0.0)),
            "mae": ae / n,
            "r2": 1 - ee / so,
            "r": sop / np.sqrt(so * sp),
            "slope": sop / sp,
            "anomaly_r": sab / np.sqrt(sa * sb),
            "picp90": inside / known,
            "interval_score90": scored / known,
        }
