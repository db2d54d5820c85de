"""Which readings count: depths, missing codes, possible values and days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..moisture import MISSING_CODES, looks_like_percent
from ..times import Period
from .readings import Readings
from .screening_drops import Drops, Sensor

_DEPTHS_SHOWN = 12
_STATIONS_SHOWN = 10
_STATIONS_SHOWN_IN_ERRORS = 5
_SLACK = 1e-6


@dataclass(frozen=True)
class Limits:
    """Which readings count.

    Parameters
    ----------
    depth_min, depth_max : float
        Depths in m that hold a sensor's whole range, ends included.
    highest : float
        Largest possible moisture, m³ m⁻³.
    rules : tuple of {'frozen', 'spikes', 'flat'}
    period : Period
    units : {'m3m3', 'percent'}
    """

    depth_min: float
    depth_max: float
    highest: float
    rules: tuple[str, ...]
    period: Period
    units: str


def check_depth_range(depth_min: float, depth_max: float) -> None:
    """Raise `InputError` when two depths in m are no range."""
    if not 0 <= depth_min <= depth_max:
        raise InputError(
            f"DEPTH_MIN {depth_min:g} and DEPTH_MAX {depth_max:g} are no range of depths.",
            "Depths are in metres, positive down, DEPTH_MIN first.",
        )


def inside_depth(
    depth_from: np.ndarray, depth_to: np.ndarray, depth_min: float, depth_max: float
) -> np.ndarray:
    """Return the mask (n,) of ranges that lie wholly inside another, ends included."""
    return np.asarray((depth_from >= depth_min - _SLACK) & (depth_to <= depth_max + _SLACK))


def no_sensor_error(sensors: Iterable[Sensor], depth_min: float, depth_max: float) -> InputError:
    """Return the error for sensors of which none lies in the depths wanted."""
    return InputError(
        f"No sensor lies within DEPTH_MIN {depth_min:g} and DEPTH_MAX {depth_max:g} m; the "
        f"sensors are: {listed_sensors(sensors, _STATIONS_SHOWN_IN_ERRORS)}.",
        "Set DEPTH_MIN and DEPTH_MAX; depths are in metres.",
    )


def tell_other_depths(
    sensors: Iterable[Sensor], depth_min: float, depth_max: float, progress: Progress
) -> None:
    """List the sensors that were left out for their depth."""
    listed = listed_sensors(sensors, _STATIONS_SHOWN)
    progress.info(f"Sensors outside {depth_min:g}–{depth_max:g} m, left out: {listed}.")


def within_depth(
    readings: Readings, depth_min: float, depth_max: float, drops: Drops, progress: Progress
) -> Readings:
    """Keep the readings of sensors that lie wholly in the depths, ends included.

    Sensors left out are listed; readings of unknown depth are kept where no depth is known at
    all, else left out and counted.

    Raises
    ------
    InputError
        When the depths are no range, a depth is negative, or no sensor lies within.
    """
    check_depth_range(depth_min, depth_max)
    known = np.isfinite(readings.depth_from) & np.isfinite(readings.depth_to)
    if not known.any():
        progress.warn(
            "No depth is given: all readings are taken, and the depth of the result stays empty."
        )
        return readings
    _check_depths(readings.take(known))
    if not known.all():
        drops.add_readings(readings.take(~known), "no depth")
        progress.warn(f"{int((~known).sum())} readings left out: no depth.")
    inside = known & inside_depth(readings.depth_from, readings.depth_to, depth_min, depth_max)
    dropped = readings.take(known & ~inside)
    if not inside.any():
        raise no_sensor_error(_sensors(dropped), depth_min, depth_max)
    if len(dropped):
        drops.add_readings(dropped, "depth", f"outside {depth_min:g}–{depth_max:g} m")
        tell_other_depths(_sensors(dropped), depth_min, depth_max, progress)
    return readings.take(inside)


def missing_values(value: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of empty values and of −9999, −999, −99, −32768."""
    return np.isnan(value) | np.isin(value, MISSING_CODES)


def plausible(
    readings: Readings, units: str, highest: float, drops: Drops, progress: Progress
) -> Readings:
    """Keep the readings that are moisture, as m³ m⁻³; missing and impossible ones are counted.

    Parameters
    ----------
    units : {'m3m3', 'percent'}
    highest : float
        Largest possible value in m³ m⁻³; the smallest is 0.

    Raises
    ------
    InputError
        When the values are percent though `units` says m3m3, the reverse, or none is left.
    """
    missing = missing_values(readings.value)
    if missing.any():
        drops.add_readings(readings.take(missing), "missing")
        progress.info(f"{int(missing.sum())} of {len(readings)} readings are missing.")
    readings = readings.take(~missing)
    if not len(readings):
        raise InputError("Every reading is missing.")
    value = readings.value
    if units == "percent":
        if value.max() <= 1:
            raise InputError(
                f"UNITS is percent, but no value is above {value.max():g}: they look like m³ m⁻³.",
                "Set UNITS to m3m3.",
            )
        value = value / 100
    elif looks_like_percent(value):
        raise InputError(
            f"The readings hold values up to {value.max():g}: they look like percent.",
            "Set UNITS to percent.",
        )
    possible = (value >= 0) & (value <= highest)
    if not possible.all():
        impossible = value[~possible]
        limits = f"outside 0–{highest:g} m³ m⁻³"
        drops.add_readings(readings.take(~possible), "implausible", limits)
        progress.warn(
            f"{len(impossible)} readings {limits} left out (from {impossible.min():g} to "
            f"{impossible.max():g})."
        )
    if not possible.any():
        raise InputError(f"No reading lies within 0–{highest:g} m³ m⁻³.")
    return replace(readings.take(possible), value=value[possible])


def within_period(readings: Readings, period: Period, drops: Drops, progress: Progress) -> Readings:
    """Keep the readings of the days that are wanted; the others are counted.

    Raises
    ------
    InputError
        When none is left.
    """
    days = readings.day
    kept = period.holds(days)
    if not kept.any():
        raise no_day_error(period, days.min(), days.max())
    if not kept.all():
        drops.add_readings(readings.take(~kept), "other days")
        progress.info(f"{int((~kept).sum())} readings outside the days wanted are left out.")
    return readings.take(kept)


def no_day_error(period: Period, first: np.datetime64, last: np.datetime64) -> InputError:
    """Return the error for readings of which none lies in the period wanted."""
    return InputError(
        f"No reading lies within {period}; the readings are of {first} to {last}.",
        "Choose other days.",
    )


def listed_sensors(sensors: Iterable[Sensor], most: int) -> str:
    """Return sensors as text: each depth with its stations, `most` of them."""
    found: dict[tuple[float, float], set[str]] = {}
    for sensor in sensors:
        found.setdefault((sensor.depth_from, sensor.depth_to), set()).add(sensor.station)
    parts = []
    for depth in sorted(found)[:_DEPTHS_SHOWN]:
        stations = sorted(found[depth])
        shown = ", ".join(stations[:most])
        if len(stations) > most:
            shown += f" and {len(stations) - most} more"
        span = f"{depth[0]:g}" if depth[0] == depth[1] else f"{depth[0]:g}–{depth[1]:g}"
        parts.append(f"{span} m ({shown})")
    if len(found) > _DEPTHS_SHOWN:
        parts.append(f"{len(found) - _DEPTHS_SHOWN} more depths")
    return "; ".join(parts)


def _sensors(readings: Readings) -> list[Sensor]:
    names = zip(readings.network, readings.station)
    different = set(zip(names, readings.depth_from.tolist(), readings.depth_to.tolist()))
    return [Sensor(*name, top, bottom) for name, top, bottom in different]


def _check_depths(readings: Readings) -> None:
    negative = (readings.depth_from < 0) | (readings.depth_to < 0)
    if negative.any():
        place = int(np.flatnonzero(negative)[0])
        lowest = min(readings.depth_from[place], readings.depth_to[place])
        raise InputError(
            f"A depth is negative: {lowest:g} m at station '{readings.station[place]}'.",
            "Depths are positive down: give them without the minus sign.",
        )
    turned = readings.depth_from > readings.depth_to
    if turned.any():
        place = int(np.flatnonzero(turned)[0])
        raise InputError(
            f"A depth range is upside down: {readings.depth_from[place]:g}–"
            f"{readings.depth_to[place]:g} m at station '{readings.station[place]}'.",
            "Give the upper end first.",
        )
