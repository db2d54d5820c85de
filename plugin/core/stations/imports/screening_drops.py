"""What an import left out and why, sensor by sensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..table import Table
from .readings import Readings, group_codes


@dataclass(frozen=True)
class Sensor:
    """One sensor: network, station, and the range of depths in m, NaN where unknown."""

    network: str = ""
    station: str = ""
    depth_from: float = float("nan")
    depth_to: float = float("nan")


@dataclass(frozen=True)
class Drop:
    """Readings of one sensor that were left out for one reason.

    Parameters
    ----------
    n : float
        How many; NaN where they were not read.
    first, last : datetime64[D]
        Days of the first and the last; NaT where unknown.
    """

    sensor: Sensor
    reason: str
    detail: str = ""
    n: float = float("nan")
    first: np.datetime64 = np.datetime64("NaT", "D")  # noqa: RUF009
    last: np.datetime64 = np.datetime64("NaT", "D")  # noqa: RUF009


class Drops:
    """Collects what is left out."""

    def __init__(self) -> None:
        self.rows: list[Drop] = []

    def add(self, sensor: Sensor, reason: str, detail: str = "") -> None:
        """Note a sensor, or a file, of which nothing was read."""
        self.rows.append(Drop(sensor, reason, detail))

    def add_days(
        self,
        sensor: Sensor,
        reason: str,
        days: np.ndarray,
        detail: str = "",
        n: float | None = None,
    ) -> None:
        """Note readings of one sensor by their days, datetime64[D] (m,), NaT where unknown.

        `n` is the number of readings where it is not that of the days.
        """
        if not len(days):
            return
        known = days[~np.isnat(days)]
        nothing = np.datetime64("NaT", "D")
        first, last = (known.min(), known.max()) if len(known) else (nothing, nothing)
        number = float(len(days)) if n is None else float(n)
        self.rows.append(Drop(sensor, reason, detail, number, first, last))

    def add_readings(self, readings: Readings, reason: str, detail: str = "") -> None:
        """Note readings of several sensors."""
        if not len(readings):
            return
        keys = (readings.network, readings.station, readings.depth_from, readings.depth_to)
        code = group_codes(*keys)
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
        days = readings.day
        for rows in np.split(order, starts[1:]):
            first = int(rows[0])
            depths = float(readings.depth_from[first]), float(readings.depth_to[first])
            sensor = Sensor(readings.network[first], readings.station[first], *depths)
            n = readings.count[rows].sum()
            self.add_days(sensor, reason, days[rows], detail, n)

    def extend(self, rows: Sequence[Drop]) -> None:
        """Take over what others noted."""
        self.rows.extend(rows)

    def total(self, reason: str) -> int:
        """Return how many readings were left out for a reason."""
        return int(sum(row.n for row in self.rows if row.reason == reason and row.n == row.n))

    def table(self) -> Table:
        """Return one row a sensor and reason, without points."""
        rows = sorted(
            self.rows,
            key=lambda row: (
                row.sensor.network,
                row.sensor.station,
                np.nan_to_num(row.sensor.depth_from, nan=-1.0),
                np.nan_to_num(row.sensor.depth_to, nan=-1.0),
            ),
        )
        return Table(
            {
                "network": np.array([row.sensor.network for row in rows], dtype=object),
                "station": np.array([row.sensor.station for row in rows], dtype=object),
                "depth_from": np.array([row.sensor.depth_from for row in rows], np.float64),
                "depth_to": np.array([row.sensor.depth_to for row in rows], np.float64),
                "reason": np.array([row.reason for row in rows], dtype=object),
                "detail": np.array([row.detail for row in rows], dtype=object),
                "n": np.array([row.n for row in rows], np.float64),
                "first": np.array([row.first for row in rows], dtype="datetime64[D]"),
                "last": np.array([row.last for row in rows], dtype="datetime64[D]"),
            }
        )
