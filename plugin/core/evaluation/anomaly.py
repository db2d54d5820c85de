"""Short-term anomalies: what is left of a series when its 30-day moving mean is taken off."""

from __future__ import annotations

import numpy as np

HALF_WINDOW = 15
"""Days before and after a reading whose mean is taken off."""
FEWEST_VALUES = 5
"""Values a window must hold."""


def anomalies(values: np.ndarray, date: np.ndarray, station: np.ndarray) -> np.ndarray:
    """Return each value less the mean of its station over 15 days before to 15 days after.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Soil moisture in m³ m⁻³. Give measured and predicted values of the same rows only, or their
        windows differ.
    date : ndarray of datetime64[D], shape (n,)
    station : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        NaN where the window holds fewer than 5 values, and for rows without a value or date.
    """
    result = np.full(len(values), np.nan)
    days = np.asarray(date, dtype="datetime64[D]")
    known = np.isfinite(values) & ~np.isnat(days)
    day = np.where(known, days, np.datetime64(0, "D")).astype(np.int64)
    names, code = np.unique(np.asarray(station).astype(str), return_inverse=True)
    order = np.lexsort((day, code))
    order = order[known[order]]
    bounds = np.searchsorted(code[order], np.arange(len(names) + 1))
    for start, stop in zip(bounds[:-1], bounds[1:]):
        rows = order[start:stop]
        own = day[rows]
        first = np.searchsorted(own, own - HALF_WINDOW, side="left")
        last = np.searchsorted(own, own + HALF_WINDOW, side="right")
        total = np.concatenate([[0.0], np.cumsum(values[rows])])
        count = last - first
        mean = (total[last] - total[first]) / np.maximum(count, 1)
        result[rows] = np.where(count >= FEWEST_VALUES, values[rows] - mean, np.nan)
    return result


def paired_anomalies(
    observed: np.ndarray, predicted: np.ndarray, date: np.ndarray, station: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the anomalies of measured and predicted values, all finite, each (n,)."""
    return anomalies(observed, date, station), anomalies(predicted, date, station)


def anomaly_correlation(
    observed: np.ndarray, predicted: np.ndarray, date: np.ndarray, station: np.ndarray
) -> tuple[float | None, int]:
    """Return Pearson's r of measured and predicted anomalies, and how many there are.

    Rows where either value is missing are left out before the windows are formed. None below 3
    anomalies, or where one of the two does not vary.
    """
    used = np.isfinite(observed) & np.isfinite(predicted)
    o, p = paired_anomalies(observed[used], predicted[used], date[used], station[used])
    there = np.isfinite(o) & np.isfinite(p)
    o, p = o[there], p[there]
    if o.size < 3:
        return None, int(o.size)
    a, b = o - o.mean(), p - p.mean()
    spread = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    if spread < 1e-15:
        return None, int(o.size)
    return min(1.0, max(-1.0, float(np.sum(a * b)) / spread)), int(o.size)
