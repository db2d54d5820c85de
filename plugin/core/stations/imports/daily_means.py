"""Daily means of readings: the observation layer."""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..table import Table
from .readings import Readings, text_codes
from .screening_drops import Drops


def daily_means(
    readings: Readings, min_readings: int, crs: str, drops: Drops, progress: Progress
) -> Table:
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
    network, station = text_codes(readings.network), text_codes(readings.station)
    keys = [network, station, readings.day.astype(np.int64)]
    # Values sort last so that sums do not depend on the order of the readings.
    rest = [readings.y, readings.x, readings.count, readings.value]
    order = np.lexsort([*rest, keys[2], network, station])
    readings = readings.take(order)
    sorted_keys = np.column_stack(keys)[order]
    new = np.r_[True, (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)]
    start = np.flatnonzero(new)
    size = np.diff(np.r_[start, len(readings)])
    n = np.add.reduceat(readings.count, start)
    enough = n >= min_readings
    _tell_days(n, enough, min_readings, progress)
    drops.add_readings(readings.take(np.repeat(~enough, size)), "few readings")
    x, y = (_mean_position(values, start, size) for values in (readings.x, readings.y))
    columns = {
        "station": readings.station[start],
        "network": readings.network[start],
        "date": readings.day[start],
        "moisture": np.add.reduceat(readings.value * readings.count, start) / n,
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
