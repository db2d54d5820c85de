"""Rules that find spikes and flat lines in a series of soil moisture.

Hourly rules are those of the International Soil Moisture Network: Dorigo et al. (2013), Global
automated quality control of in situ soil moisture data, Vadose Zone Journal 12(3),
doi:10.2136/vzj2012.0097. Its thresholds are in volume percent; here they are in m³ m⁻³.
"""

from __future__ import annotations

import numpy as np

HALF_DAY = 12
SPIKE_RATIO = 0.15
SPIKE_CURVATURE = 0.2
SPIKE_NOISE = 0.01
BREAK_RATIO, BREAK_CHANGE, BREAK_TO_ZERO = 0.1, 0.01, 0.05
BREAK_CURVATURE, BREAK_SETTLED = 0.05, 10.0
LOW_WINDOW, LOW_NOISE = 13, 1e-5
HIGH_WINDOW, HIGH_VARIANCE = 12, 5e-6
HIGH_RISE, HIGH_SHARE, HIGHEST = 0.0025, 0.95, 0.6
DAY_SPIKE, DAY_RETURN = 0.10, 0.2
STUCK_DAYS, STUCK_GAP_DAYS = 14, 2

_DAY = 86_400


def hourly_spikes(x: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of single spikes (flag D06, Eq. 4–6).

    A value above or below both neighbours and more than 15 % off each, with |x''(t−1) / x''(t+1)|
    within 0.8–1.2 and σ²/μ of the hours within ±12 below 0.01 m³ m⁻³ (1 volume percent). Without
    12 of these 24 hours nothing is a spike. The paper looks at the neighbour before only, which
    also finds steps *(own choice)*.

    Parameters
    ----------
    x : float (n,)
        Hourly soil moisture, m³ m⁻³; NaN for missing.
    """
    before, after = _shifted(x, 1), _shifted(x, -1)
    curvature = second_derivative(x)
    known = np.isfinite(x)
    n = _window_sum(known.astype(np.float64)) - known
    total = _window_sum(np.where(known, x, 0.0)) - np.where(known, x, 0.0)
    squares = _window_sum(np.where(known, x * x, 0.0)) - np.where(known, x * x, 0.0)
    with np.errstate(all="ignore"):
        change = np.minimum(np.abs(x / before - 1), np.abs(x / after - 1))
        symmetry = np.abs(_shifted(curvature, 1) / _shifted(curvature, -1))
        mean = total / n
        noise = (squares - n * mean**2) / (n - 1) / mean
        peak = ((x > before) & (x > after)) | ((x < before) & (x < after))
        found = peak & (change > SPIKE_RATIO) & (noise < SPIKE_NOISE) & (n >= HALF_DAY)
        return found & (np.abs(symmetry - 1) < SPIKE_CURVATURE)


def hourly_drops(x: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of negative breaks (flag D07, Eq. 7–9).

    Parameters
    ----------
    x : float (n,)
        Hourly soil moisture, m³ m⁻³; NaN for missing.
    """
    slope, curvature = first_derivative(x), second_derivative(x)
    known = np.isfinite(slope)
    n = _window_sum(known.astype(np.float64))
    with np.errstate(all="ignore"):
        change = x - _shifted(x, 1)
        usual = np.abs(_window_sum(np.where(known, slope, 0.0)) / n)
        found = (np.abs(change / x) > BREAK_RATIO) & (np.abs(change) > BREAK_CHANGE)
        found &= (slope < 0) & (np.abs(slope) > 10 * usual) & (n >= 4)
        found &= np.abs(np.abs(_shifted(curvature, 1) / curvature) - 1) < BREAK_CURVATURE
        found &= np.abs(curvature / _shifted(curvature, -2)) > BREAK_SETTLED
        return (found & (x != 0)) | ((x == 0) & (change < -BREAK_TO_ZERO))


def low_plateaus(x: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of constant low values after a negative break (flag D09).

    From the break on, for at least 13 hours, while σ²/μ of the next 13 hours stays below 1e-5
    m³ m⁻³ (0.001 volume percent). Gaps are bridged.

    Parameters
    ----------
    x : float (n,)
        Hourly soil moisture, m³ m⁻³; NaN for missing.
    """
    found = np.zeros(len(x), dtype=bool)
    known = np.flatnonzero(np.isfinite(x))
    drops = np.flatnonzero(hourly_drops(x)[known])
    if len(known) < LOW_WINDOW or not len(drops):
        return found
    mean, variance = _forward_moments(x[known], LOW_WINDOW)
    quiet = variance < LOW_NOISE * np.maximum(mean, 1e-12)
    quiet |= variance == 0
    ends = np.flatnonzero(~quiet)
    for start in drops:
        if start < len(quiet) and quiet[start]:
            later = ends[ends > start]
            last = (later[0] if len(later) else len(quiet)) - 1
            found[known[start : last + LOW_WINDOW]] = True
    return found


def high_plateaus(x: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of saturated plateaus (flag D10, Eq. 10–13).

    Periods of at least 12 hours whose variance stays at or below 5e-6 (0.05 volume percent²),
    with a rise of 0.0025 m³ m⁻³ h⁻¹ within 12 hours of their begin, a fall within 12 hours of
    their end, and a mean above 95 % of the highest value of the series below 0.6. Gaps are
    bridged.

    Parameters
    ----------
    x : float (n,)
        Hourly soil moisture, m³ m⁻³; NaN for missing.
    """
    found = np.zeros(len(x), dtype=bool)
    known = np.flatnonzero(np.isfinite(x))
    series, slope = x[known], first_derivative(x)[known]
    plausible = series[series < HIGHEST]
    if len(series) < HIGH_WINDOW or not len(plausible):
        return found
    limit = HIGH_SHARE * plausible.max()
    _, variance = _forward_moments(series, HIGH_WINDOW)
    steady = np.r_[False, variance <= HIGH_VARIANCE, False]
    edges = np.flatnonzero(steady[1:] != steady[:-1])
    for start, stop in zip(edges[::2], edges[1::2]):
        end = stop + HIGH_WINDOW - 1  # one behind the last hour of the period
        if series[start:end].max() <= limit:
            continue
        first = _turn(slope, start, max(start - HALF_DAY, 0), start + HALF_DAY + 1, np.nanargmax)
        last = _turn(slope, end - 1, end - 1 - HALF_DAY, end + HALF_DAY, np.nanargmin)
        if first is None or last is None or slope[first] < HIGH_RISE or slope[last] >= 0:
            continue
        first = first if start <= first < end else start
        last = last if first < last < end else end - 1
        if series[first : last + 1].mean() > limit:
            found[known[first : last + 1]] = True
    return found


def daily_spikes(time: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of single days off by more than 0.10 m³ m⁻³ *(own choice)*.

    Both neighbouring days lie on the same side of the value and differ by less than a fifth of
    its distance. Hourly rules do not fit days, on which rain makes true peaks.

    Parameters
    ----------
    time : int64 (n,)
        Seconds, increasing.
    x : float (n,)
        Soil moisture, m³ m⁻³.
    """
    found = np.zeros(len(x), dtype=bool)
    if len(x) < 3:
        return found
    before, value, after = x[:-2], x[1:-1], x[2:]
    near = (np.diff(time)[:-1] <= 1.5 * _DAY) & (np.diff(time)[1:] <= 1.5 * _DAY)
    above = value - np.maximum(before, after)
    below = np.minimum(before, after) - value
    off = np.maximum(above, below)
    found[1:-1] = near & (off > DAY_SPIKE) & (np.abs(after - before) < DAY_RETURN * off)
    return found


def stuck_values(time: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of values that stay exactly the same for 14 days *(own choice)*.

    Gaps of up to 2 days do not end such a run.

    Parameters
    ----------
    time : int64 (n,)
        Seconds, increasing.
    x : float (n,)
        Soil moisture, m³ m⁻³.
    """
    if not len(x):
        return np.zeros(0, dtype=bool)
    gap = np.diff(time)
    start = np.flatnonzero(np.r_[True, (x[1:] != x[:-1]) | (gap > STUCK_GAP_DAYS * _DAY)])
    length = np.diff(np.r_[start, len(x)])
    step = np.median(gap) if len(gap) else 0.0
    duration = time[start + length - 1] - time[start] + step
    return np.repeat((duration >= STUCK_DAYS * _DAY) & (length > 1), length)


def first_derivative(x: np.ndarray) -> np.ndarray:
    """Return x' (n,) by a quadratic Savitzky–Golay filter over 3 values, ends repeated."""
    padded = np.pad(x, 1, mode="edge")
    return (padded[2:] - padded[:-2]) / 2


def second_derivative(x: np.ndarray) -> np.ndarray:
    """Return x'' (n,) by a quadratic Savitzky–Golay filter over 3 values, ends repeated."""
    padded = np.pad(x, 1, mode="edge")
    return padded[:-2] - 2 * padded[1:-1] + padded[2:]


def _shifted(x: np.ndarray, steps: int) -> np.ndarray:
    """Return x(t − steps), NaN beyond the ends."""
    moved = np.full(len(x), np.nan)
    if steps > 0:
        moved[steps:] = x[:-steps]
    else:
        moved[:steps] = x[-steps:]
    return moved


def _window_sum(x: np.ndarray) -> np.ndarray:
    """Return the sum of the values within ±12 of each."""
    sums = np.r_[0.0, np.cumsum(x)]
    index = np.arange(len(x))
    last = np.minimum(index + HALF_DAY + 1, len(x))
    return sums[last] - sums[np.maximum(index - HALF_DAY, 0)]


def _forward_moments(x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each value and the next ones, (n − width + 1,)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, width)
    return windows.mean(axis=1), windows.var(axis=1, ddof=1)


def _turn(slope: np.ndarray, place: int, start: int, stop: int, which: object) -> int | None:
    """Return where the slope is largest or smallest between two places; None if unknown."""
    part = slope[start:stop]
    if not np.isfinite(part).any():
        return None
    return start + int(which(part))  # type: ignore[operator]
