"""Single readings of soil moisture, and the daily means made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .moisture import MISSING_CODES, looks_like_percent
from .table import Table

_DEPTHS_SHOWN = 12
_STATIONS_SHOWN = 100
_STATIONS_SHOWN_IN_ERRORS = 5


@dataclass(frozen=True, eq=False)
class Readings:
    """Readings in any order, one an element.

    Parameters
    ----------
    station, network : object (n,)
        Texts; '' for missing.
    day : datetime64[D] (n,)
        UTC day.
    value : float64 (n,)
        Soil moisture; NaN for missing.
    depth_from, depth_to : float64 (n,)
        The sensor's range, m, positive down; NaN where unknown.
    x, y : float64 (n,)
        Position; NaN where unknown.
    """

    station: np.ndarray
    network: np.ndarray
    day: np.ndarray
    value: np.ndarray
    depth_from: np.ndarray
    depth_to: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: np.ndarray) -> Readings:
        """Return the readings of a mask or of an index array."""
        return Readings(*(getattr(self, item.name)[rows] for item in fields(self)))


def join_readings(parts: Sequence[Readings]) -> Readings:
    """Return the readings of all parts."""
    return Readings(
        *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Readings))
    )


def within_depth(
    readings: Readings, depth_min: float, depth_max: float, progress: Progress
) -> Readings:
    """Keep the readings of sensors that lie wholly in the depths, ends included.

    Sensors left out are listed; readings of unknown depth are kept where no depth is known at
    all, else left out and counted.

    Raises
    ------
    InputError
        When the depths are no range, a depth is negative, or no sensor lies within.
    """
    if not 0 <= depth_min <= depth_max:
        raise InputError(
            f"DEPTH_MIN {depth_min:g} and DEPTH_MAX {depth_max:g} are no range of depths.",
            "Depths are in metres, positive down, DEPTH_MIN first.",
        )
    known = np.isfinite(readings.depth_from) & np.isfinite(readings.depth_to)
    if not known.any():
        progress.warn(
            "No depth is given: all readings are taken, and the depth of the result stays empty."
        )
        return readings
    _check_depths(readings.take(known))
    if not known.all():
        progress.warn(f"{int((~known).sum())} readings left out: no depth.")
    slack = 1e-6
    inside = known & (readings.depth_from >= depth_min - slack)
    inside &= readings.depth_to <= depth_max + slack
    dropped = readings.take(known & ~inside)
    if not inside.any():
        raise InputError(
            f"No sensor lies within DEPTH_MIN {depth_min:g} and DEPTH_MAX {depth_max:g} m; the "
            f"sensors are: {_listed_sensors(dropped, _STATIONS_SHOWN_IN_ERRORS)}.",
            "Set DEPTH_MIN and DEPTH_MAX; depths are in metres.",
        )
    if len(dropped):
        listed = _listed_sensors(dropped, _STATIONS_SHOWN)
        progress.info(f"Sensors outside {depth_min:g}–{depth_max:g} m, left out: {listed}.")
    return readings.take(inside)


def plausible(readings: Readings, units: str, progress: Progress) -> Readings:
    """Keep the readings that are moisture, as m³ m⁻³; missing and impossible ones are counted.

    Missing are empty values and −9999, −999, −99, −32768; impossible are values outside
    0–1 m³ m⁻³.

    Raises
    ------
    InputError
        When the values are percent though `units` says m3m3, the reverse, or none is left.
    """
    missing = np.isnan(readings.value) | np.isin(readings.value, MISSING_CODES)
    if missing.any():
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
    possible = (value >= 0) & (value <= 1)
    if not possible.all():
        progress.warn(
            f"{int((~possible).sum())} readings outside 0–1 m³ m⁻³ left out (from "
            f"{value[~possible].min():g} to {value[~possible].max():g})."
        )
    if not possible.any():
        raise InputError("No reading lies within 0–1 m³ m⁻³.")
    kept = readings.take(possible)
    return Readings(
        kept.station, kept.network, kept.day, value[possible], kept.depth_from, kept.depth_to,
        kept.x, kept.y,
    )  # fmt: skip


def daily_means(readings: Readings, min_readings: int, crs: str, progress: Progress) -> Table:
    """Return the observation layer: one row a station and day, sorted by both.

    Readings of one station and day, of whatever depth, are averaged; `n` counts them. Depths are
    the shallowest and the deepest end; a station that moves lies at the mean of its readings.

    Parameters
    ----------
    min_readings : int
        Fewest readings of a day; days with fewer are left out and counted.

    Raises
    ------
    InputError
        When no day has enough readings.
    """
    keys = [_codes(readings.network), _codes(readings.station), readings.day.astype(np.int64)]
    # Values sort last so that sums do not depend on the order of the readings.
    order = np.lexsort([readings.y, readings.x, readings.value, keys[2], keys[0], keys[1]])
    readings = readings.take(order)
    sorted_keys = np.column_stack(keys)[order]
    new = np.r_[True, (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)]
    start = np.flatnonzero(new)
    n = np.diff(np.r_[start, len(readings)])
    enough = n >= min_readings
    _tell_days(n, enough, min_readings, progress)
    x, y = (_mean_position(values, start, n) for values in (readings.x, readings.y))
    columns = {
        "station": readings.station[start],
        "network": readings.network[start],
        "date": readings.day[start],
        "moisture": np.add.reduceat(readings.value, start) / n,
        "depth_from": np.minimum.reduceat(readings.depth_from, start),
        "depth_to": np.maximum.reduceat(readings.depth_to, start),
        "n": n,
    }
    return Table(columns, x, y, crs).take(enough)


def _tell_days(n: np.ndarray, enough: np.ndarray, min_readings: int, progress: Progress) -> None:
    if not enough.any():
        raise InputError(
            f"No day has {min_readings} readings; the most are {int(n.max())}.",
            "Lower MIN_READINGS.",
        )
    if not enough.all():
        progress.info(
            f"{int((~enough).sum())} station-days left out: fewer than {min_readings} readings."
        )
    several = int((n[enough] > 1).sum())
    if several:
        progress.info(
            f"{several} of {int(enough.sum())} station-days are means of several readings, up to "
            f"{int(n[enough].max())}."
        )


def _mean_position(values: np.ndarray, start: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the mean of each group, exactly its value where all are the same."""
    low, high = np.minimum.reduceat(values, start), np.maximum.reduceat(values, start)
    return np.where(low == high, low, np.add.reduceat(values, start) / n)


def _check_depths(readings: Readings) -> None:
    negative = readings.depth_from < 0
    negative |= readings.depth_to < 0
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


def _listed_sensors(readings: Readings, most: int) -> str:
    """Return the sensors as text: each depth with its stations."""
    found: dict[tuple[float, float], set[str]] = {}
    ends = zip(readings.depth_from.tolist(), readings.depth_to.tolist())
    for depth, station in set(zip(ends, readings.station)):
        found.setdefault(depth, set()).add(station)
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


def _codes(texts: np.ndarray) -> np.ndarray:
    rank = {text: index for index, text in enumerate(sorted(set(texts)))}
    return np.array([rank[text] for text in texts], dtype=np.int64)
