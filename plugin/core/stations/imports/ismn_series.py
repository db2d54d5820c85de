"""The readings of one ISMN sensor, and the daily means made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..moisture import looks_like_percent, metric_depth
from .ismn_archive import Member
from .ismn_files import CEOP, FileLayout, FileName, find_layout
from .ismn_parsing import Lines, parse_flags, parse_moments, parse_numbers, split_lines
from .screening import REASONS, screen_series
from .screening_drops import Drop, Drops, Sensor
from .screening_limits import Limits, missing_values

_BLOCK = 2**21
_FIRST = 4096
_COLDEST, _HOTTEST = -60.0, 60.0
_NOT_MEASURED = b"M"


@dataclass(frozen=True, eq=False)
class RawSeries:
    """Readings as a file has them.

    Parameters
    ----------
    time : datetime64[s] (n,)
        UTC.
    value : float64 (n,)
    flag : bytes (n,)
        Quality flags of ISMN, joined by ``,``.
    temperature, top, bottom : float64 (n,)
        Soil temperature in °C and depth in m, NaN but in files with all depths.
    unreadable : int
        How many lines fit nothing.
    first_unreadable : int
        Number of the first of them, from 1.
    """

    time: np.ndarray
    value: np.ndarray
    flag: np.ndarray
    temperature: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    unreadable: int = 0
    first_unreadable: int = 0

    def take(self, rows: np.ndarray) -> RawSeries:
        """Return the readings of a mask or of an index array."""
        columns = (self.time, self.value, self.flag, self.temperature, self.top, self.bottom)
        return RawSeries(*(column[rows] for column in columns))


@dataclass(frozen=True, eq=False)
class SensorDays:
    """Daily means of one sensor, and what was left out.

    Parameters
    ----------
    day : datetime64[D] (m,)
    mean, n : float64 (m,)
        Moisture in m³ m⁻³, and of how many readings.
    """

    sensor: Sensor
    day: np.ndarray
    mean: np.ndarray
    n: np.ndarray
    drops: list[Drop] = field(default_factory=list)


def join_series(parts: Sequence[RawSeries]) -> RawSeries:
    """Return the readings of all parts in order of time, the earlier part first."""
    names = ("time", "value", "flag", "temperature", "top", "bottom")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    series = RawSeries(*columns)
    return series.take(np.argsort(series.time, kind="stable"))


def open_layout(member: Member, name: FileName | None) -> FileLayout:
    """Return the layout of a file.

    Raises
    ------
    InputError
        When it cannot be read or is no file of ISMN.
    """
    for block in member.blocks(_FIRST):
        filled = [line for line in block.split(b"\n") if line.strip()]
        if filled:
            return find_layout(filled[0], name)
    raise InputError("It is empty.")


def read_series(member: Member, layout: FileLayout, progress: Progress) -> RawSeries:
    """Read a file, block by block.

    Raises
    ------
    InputError
        When it is damaged or has no readable line.
    """
    parts, unreadable, first, before = [], 0, 0, 0
    header = layout.date == 0
    for block in member.blocks(_BLOCK):
        progress.check()
        lines, count = split_lines(block)
        if header and len(lines.number):
            lines = lines.take(np.arange(len(lines.number)) > 0)
            header = False
        part, good = _parse(lines, layout)
        if not good.all():
            first = first or before + int(lines.number[np.argmin(good)]) + 1
            unreadable += int((~good).sum())
        parts.append(part.take(good))
        before += count
    if not sum(len(part.time) for part in parts):
        raise InputError(
            f"None of its {unreadable} lines can be read." if unreadable else "It has no readings."
        )
    return replace(join_series(parts), unreadable=unreadable, first_unreadable=first)


def soil_temperature(member: Member, name: FileName, progress: Progress) -> RawSeries:
    """Return soil temperature in order of time, °C, without missing and impossible values.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    series = read_series(member, open_layout(member, name), progress)
    good = (series.value >= _COLDEST) & (series.value <= _HOTTEST)
    return series.take(good & (series.flag != _NOT_MEASURED))


def split_depths(series: RawSeries, sensor: Sensor) -> Iterator[tuple[Sensor, RawSeries]]:
    """Yield the series of each depth of a file with all depths."""
    depths = np.unique(np.column_stack([series.top, series.bottom]), axis=0)
    for top, bottom in depths:
        rows = (series.top == top) & (series.bottom == bottom)
        ends = sorted((metric_depth(abs(float(top))), metric_depth(abs(float(bottom)))))
        yield Sensor(sensor.network, sensor.station, *ends), series.take(rows)


def with_temperature(series: RawSeries, temperature: RawSeries) -> RawSeries:
    """Return the series with the soil temperature of the same moments."""
    place = np.searchsorted(temperature.time, series.time)
    place = np.minimum(place, max(len(temperature.time) - 1, 0))
    if not len(temperature.time):
        return series
    same = temperature.time[place] == series.time
    values = np.where(same, temperature.value[place], np.nan)
    return RawSeries(series.time, series.value, series.flag, values, series.top, series.bottom)


def daily_series(
    series: RawSeries, sensor: Sensor, limits: Limits, flags: frozenset[bytes]
) -> SensorDays:
    """Return daily means of the readings that count.

    `series` is in order of time. Left out, in this order: a moment's second reading, missing
    ones, other quality flags, impossible values, what screening finds, other days.

    Parameters
    ----------
    flags : frozenset of bytes
        Quality flags that are taken; empty = all.

    Raises
    ------
    InputError
        When the values are percent though `limits.units` says m3m3.
    """
    drops = Drops()

    def without(rows: np.ndarray, reason: str, detail: str = "") -> RawSeries:
        drops.add_days(sensor, reason, series.time[rows].astype("datetime64[D]"), detail)
        return series.take(~rows) if rows.any() else series

    series = without(np.r_[False, series.time[1:] == series.time[:-1]], "repeated")
    kinds, kind = _flag_kinds(series.flag)
    missing = missing_values(series.value) | np.isin(kind, _places(kinds, _NOT_MEASURED))
    kind = kind[~missing]
    series = without(missing, "missing")
    dubious = [place for place, text in enumerate(kinds) if not _is_taken(text, flags)]
    for place in dubious:
        rows = kind == place
        kind = kind[~rows]
        text = b",".join(sorted(kinds[place].split(b","))).decode("ascii", "replace")
        series = without(rows, "quality flag", text)
    series = _in_units(series, limits.units)
    impossible = (series.value < 0) | (series.value > limits.highest)
    series = without(impossible, "implausible", f"outside 0–{limits.highest:g} m³ m⁻³")
    code = screen_series(series.time, series.value, series.temperature, limits.rules)
    for place, reason in enumerate(REASONS):
        if place:
            rows = code == place
            code = code[~rows]
            series = without(rows, reason)
    series = without(~limits.period.holds(series.time.astype("datetime64[D]")), "other days")
    return _means(series, sensor, drops)


def _means(series: RawSeries, sensor: Sensor, drops: Drops) -> SensorDays:
    days = series.time.astype("datetime64[D]")
    if not len(days):
        return SensorDays(sensor, days, series.value, series.value, drops.rows)
    start = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    n = np.diff(np.r_[start, len(days)]).astype(np.float64)
    mean = np.add.reduceat(series.value, start) / n
    return SensorDays(sensor, days[start], mean, n, drops.rows)


def _in_units(series: RawSeries, units: str) -> RawSeries:
    value = series.value
    if units == "percent":
        value = value / 100
    elif looks_like_percent(value):
        raise InputError(
            f"Its values go up to {value.max():g} and look like percent: set UNITS to percent."
        )
    rest = series.flag, series.temperature, series.top, series.bottom
    return RawSeries(series.time, value, *rest)


def _parse(lines: Lines, layout: FileLayout) -> tuple[RawSeries, np.ndarray]:
    """Return the readings of all lines, and the mask of readable ones."""
    time = parse_moments(lines, layout.date)
    value, good = parse_numbers(lines, layout.value)
    good &= ~np.isnat(time) & (lines.words > layout.value + 1)
    flag = parse_flags(lines, layout.value + 1)
    unknown = np.full(len(time), np.nan)
    if layout.kind != CEOP:
        return RawSeries(time, value, flag, unknown, unknown, unknown), good
    temperature, warm = parse_numbers(lines, layout.value - 2)
    top, above = parse_numbers(lines, layout.top)
    bottom, below = parse_numbers(lines, layout.bottom)
    temperature = np.where(np.abs(temperature) <= _HOTTEST, temperature, np.nan)
    return RawSeries(time, value, flag, temperature, top, bottom), good & warm & above & below


def _flag_kinds(flag: np.ndarray) -> tuple[list[bytes], np.ndarray]:
    """Return the different flags and the place of each reading's among them."""
    common = flag[0] if len(flag) else b""
    other = flag != common
    kinds, place = np.unique(flag[other], return_inverse=True)
    code = np.zeros(len(flag), dtype=np.int64)
    code[other] = place + 1
    return [bytes(common), *(bytes(kind) for kind in kinds)], code


def _places(kinds: list[bytes], flag: bytes) -> list[int]:
    return [place for place, text in enumerate(kinds) if flag in text.split(b",")]


def _is_taken(text: bytes, flags: frozenset[bytes]) -> bool:
    return not flags or set(text.split(b",")) <= flags
