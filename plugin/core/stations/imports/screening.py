"""Screening of readings: frozen soil, spikes and flat lines of single sensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ...progress import Progress
from .readings import Readings, group_codes
from .screening_drops import Drops
from .screening_rules import daily_spikes, high_plateaus, hourly_spikes, low_plateaus, stuck_values

RULES = ("frozen", "spikes", "flat")
REASONS = ("", "frozen soil", "spike", "flat line")
"""Why a reading is left out, by the code that `screen_series` returns."""

_HOUR, _DAY = 3600, 86_400
_LONGEST_HOUR = 1.5 * _HOUR
_SHORTEST_DAY = 20 * _HOUR
_LONGEST_GAP = 48
_FEWEST = 3


def check_rules(rules: Sequence[str]) -> tuple[str, ...]:
    """Return the rules in their own order.

    Raises
    ------
    InputError
        When a rule is unknown.
    """
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        raise InputError(f"SCREENING '{unknown[0]}' is not one of {', '.join(RULES)}.")
    return tuple(rule for rule in RULES if rule in rules)


def screen_series(
    time: np.ndarray, value: np.ndarray, temperature: np.ndarray | None, rules: Sequence[str]
) -> np.ndarray:
    """Return for each reading of one sensor the place in `REASONS`, int8 (n,); 0 = kept.

    Spikes and flat lines are looked for among the readings that are not frozen.

    Parameters
    ----------
    time : datetime64[s] (n,)
        Increasing; equal moments are one.
    value : float (n,)
        Soil moisture, m³ m⁻³, complete.
    temperature : float (n,), optional
        Soil temperature, °C; NaN where unknown.
    rules : sequence of {'frozen', 'spikes', 'flat'}
    """
    code = np.zeros(len(value), dtype=np.int8)
    if "frozen" in rules and temperature is not None:
        code[temperature < 0] = 1
    left = np.flatnonzero(code == 0)
    if len(left) >= _FEWEST and ("spikes" in rules or "flat" in rules):
        seconds = time[left].astype("datetime64[s]").astype(np.int64)
        spikes, flat = _shapes(seconds, value[left], rules)
        code[left[flat]] = 3
        code[left[spikes]] = 2
    return code


def screened(
    readings: Readings, rules: Sequence[str], drops: Drops, progress: Progress
) -> Readings:
    """Keep the readings that no rule finds; the others are counted.

    A sensor is what one station has at one depth in one column.

    Raises
    ------
    InputError
        When nothing is left.
    """
    if not rules or not len(readings):
        return readings
    keys = (readings.network, readings.station, readings.depth_from, readings.depth_to)
    sensor = group_codes(*keys, readings.series)
    order = np.lexsort([readings.value, readings.time, sensor])
    starts = np.flatnonzero(np.r_[True, np.diff(sensor[order]) != 0])
    code = np.zeros(len(readings), dtype=np.int8)
    for count, rows in enumerate(np.split(order, starts[1:])):
        if count % 100 == 0:
            progress.check()
        temperature = readings.temperature[rows]
        code[rows] = screen_series(readings.time[rows], readings.value[rows], temperature, rules)
    for place, reason in enumerate(REASONS):
        if place and (code == place).any():
            drops.add_readings(readings.take(code == place), reason)
            progress.info(f"{int((code == place).sum())} readings left out: {reason}.")
    if (code != 0).all():
        raise InputError("No reading passes the screening.", "Choose fewer rules in SCREENING.")
    return readings.take(code == 0)


def _shapes(
    seconds: np.ndarray, value: np.ndarray, rules: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the masks of spikes and of flat lines by the rules for the series' own step."""
    moments = np.unique(seconds)
    step = float(np.median(np.diff(moments))) if len(moments) > 1 else 0.0
    spikes, flat = np.zeros(len(value), dtype=bool), np.zeros(len(value), dtype=bool)
    if 0 < step <= _LONGEST_HOUR:
        hour, hourly = _hours(seconds, value)
        if "spikes" in rules:
            spikes = hourly_spikes(hourly)[hour]
        if "flat" in rules:
            flat = (low_plateaus(hourly) | high_plateaus(hourly))[hour]
    elif step >= _SHORTEST_DAY and "spikes" in rules:
        spikes = daily_spikes(seconds, value)
    if "flat" in rules:
        flat = flat | stuck_values(seconds, value)
    return spikes, flat


def _hours(seconds: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each reading in a series of hourly means, and that series.

    Gaps longer than two days are cut to two, which no rule looks across.
    """
    whole = seconds // _HOUR
    steps = np.minimum(np.diff(whole), _LONGEST_GAP)
    place = np.r_[0, np.cumsum(steps)]
    n = np.bincount(place)
    with np.errstate(invalid="ignore"):
        return place, np.bincount(place, weights=value) / np.where(n, n, np.nan)
