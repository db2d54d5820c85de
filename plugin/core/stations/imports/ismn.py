"""Archives of the International Soil Moisture Network (https://ismn.earth) as daily means."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...progress import Progress
from .ismn_archive import IsmnArchive, Member, is_data
from .ismn_files import CEOP, MOISTURE, TEMPERATURE, FileLayout, FileName, parse_name
from .ismn_series import (
    RawSeries,
    daily_series,
    join_series,
    open_layout,
    read_series,
    soil_temperature,
    split_depths,
    with_temperature,
)
from .ismn_static import read_static
from .ismn_summary import SensorResult, check_left, listed_problems, tell
from .readings import Readings, join_readings
from .screening_drops import Drops, Sensor
from .screening_limits import Limits, check_depth_range, inside_depth

_MOST_THREADS = 4
_FLAG = re.compile(r"[A-Za-z]\d*")

StationFields = dict[tuple[str, str], dict[str, str]]


@dataclass(frozen=True)
class SensorFiles:
    """All files of one sensor: more than one where downloads lie side by side.

    Parameters
    ----------
    name : FileName, optional
        None for a file with all depths of a station.
    temperature : tuple of (FileName, Member)
        Soil temperature of the same station and depth.
    """

    name: FileName | None
    members: tuple[Member, ...]
    temperature: tuple[tuple[FileName, Member], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of moisture."""
        return sum(member.size for member in self.members)


def read_ismn(
    source: Path, limits: Limits, quality_flags: str, drops: Drops, progress: Progress
) -> tuple[Readings, StationFields]:
    """Read the soil moisture of an archive as daily means of each sensor.

    One file after another is reduced to daily means, so memory grows with the days, not with the
    readings. Files that cannot be read are left out and listed.

    Parameters
    ----------
    source : Path
        A folder, a zip archive (also with archives within) or a .stm file.
    quality_flags : str
        Flags that are taken, joined by ``;``; empty = all.

    Returns
    -------
    Readings
        One a sensor and day, with `count`.
    dict of (network, station) to dict
        `land_cover` and `climate_class` where known.

    Raises
    ------
    InputError
        When there is no file of soil moisture, or nothing of it counts.
    """
    check_depth_range(limits.depth_min, limits.depth_max)
    flags = read_flags(quality_flags)
    with IsmnArchive(source, progress) as archive:
        sensors, statics, problems = _listed(archive)
        if not sensors:
            listed = f" {listed_problems(problems)}" if problems else ""
            raise InputError(
                f"INPUT '{source}' holds no ISMN file of soil moisture.{listed}",
                "Choose the folder or zip archive as it was downloaded, or set FORMAT.",
            )
        results = _read_all(sensors, limits, flags, progress)
        fields = _station_fields(sensors, results, statics, problems)
    for result in results:
        problems += result.problems
        drops.extend(result.all_drops())
        for sensor in result.other_depths:
            drops.add(sensor, "depth", f"outside {limits.depth_min:g}–{limits.depth_max:g} m")
    for path, reason in problems:
        drops.add(Sensor(), "unreadable file", f"{path}: {reason}")
    tell(results, problems, limits, progress)
    check_left(results, problems, limits, flags)
    return join_readings([part for result in results for part in _readings(result)]), fields


def read_flags(text: str) -> frozenset[bytes]:
    """Return the quality flags of a text such as ``G;U``.

    Raises
    ------
    InputError
        When a part is no flag.
    """
    parts = [part.strip() for part in re.split(r"[;,\s]+", text) if part.strip()]
    for part in parts:
        if not _FLAG.fullmatch(part):
            raise InputError(
                f"QUALITY_FLAGS '{part}' is no quality flag of ISMN.",
                "Flags are such as G, U, C01, D03; join them by semicolons.",
            )
    return frozenset(part.upper().encode("ascii") for part in parts)


def _listed(
    archive: IsmnArchive,
) -> tuple[list[SensorFiles], dict[str, Member], list[tuple[str, str]]]:
    """Return the sensors, the static variables by station, and what cannot be read."""
    moisture: dict[tuple[str, float, float, str], list[tuple[FileName, Member]]] = {}
    temperature: dict[str, list[tuple[FileName, Member]]] = {}
    sensors, statics, names = [], {}, set()
    for member in archive.members():
        name = parse_name(member.name)
        if not is_data(member.name):
            statics[_station_of(member)] = member
        elif member.name in names:
            continue  # the same file once more, as in a folder beside its archive
        elif name is None:
            sensors.append(SensorFiles(None, (member,)))
        elif name.variable in MOISTURE:
            key = (name.station, name.top, name.bottom, name.sensor)
            moisture.setdefault(key, []).append((name, member))
        elif name.variable in TEMPERATURE:
            temperature.setdefault(name.station, []).append((name, member))
        names.add(member.name)
    for files in moisture.values():
        name = files[0][0]
        warm = _same_depth(name, temperature.get(name.station, []))
        sensors.append(SensorFiles(name, tuple(member for _, member in files), warm))
    return sensors, statics, list(archive.damaged)


def _station_of(member: Member) -> str:
    return member.name[: member.name.lower().rindex("_static_variables")]


def _same_depth(
    name: FileName, files: Sequence[tuple[FileName, Member]]
) -> tuple[tuple[FileName, Member], ...]:
    """Return the soil temperature at the depth of a sensor, the same instrument's if it has one."""
    same = [file for file in files if (file[0].top, file[0].bottom) == (name.top, name.bottom)]
    if not same:
        same = [f for f in files if f[0].top <= name.bottom and f[0].bottom >= name.top]
    own = [file for file in same if file[0].sensor == name.sensor]
    chosen = (own or same)[:1]
    return tuple(file for file in same if chosen and file[0].sensor == chosen[0][0].sensor)


def _read_all(
    sensors: Sequence[SensorFiles], limits: Limits, flags: frozenset[bytes], progress: Progress
) -> list[SensorResult]:
    """Read all sensors, some at a time; results in their order."""
    total, done = max(sum(files.size for files in sensors), 1), 0
    results = []

    def read(files: SensorFiles) -> SensorResult:
        return _read_sensor(files, limits, flags, progress)

    with closing(_in_threads(read, sensors)) as finished:
        for files, result in zip(sensors, finished):
            results.append(result)
            done += files.size
            progress.step(min(done / total, 1.0))
    return results


def _in_threads(
    work: Callable[[SensorFiles], SensorResult], items: Sequence[SensorFiles]
) -> Generator[SensorResult, None, None]:
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[SensorResult]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read_sensor(
    files: SensorFiles, limits: Limits, flags: frozenset[bytes], progress: Progress
) -> SensorResult:
    result = SensorResult()
    parts = []
    for member in files.members:
        progress.check()
        try:
            layout = open_layout(member, files.name)
            if files.name is None and layout.kind != CEOP:
                raise InputError("Its name does not tell which variable it holds.")
            result.layout = layout
            if layout.kind != CEOP and not _is_inside(layout.sensor, limits):
                result.other_depths.append(layout.sensor)
                continue
            series = read_series(member, layout, progress)
            if series.unreadable:
                lines = f"{member.path}: line {series.first_unreadable}"
                unknown = np.full(series.unreadable, np.datetime64("NaT", "D"))
                result.drops.add_days(layout.sensor, "unreadable line", unknown, lines)
            parts.append((layout, series))
        except InputError as error:
            result.problems.append((member.path, str(error)))
    if parts:
        _add_days(result, files, parts, limits, flags, progress)
    return result


def _add_days(
    result: SensorResult,
    files: SensorFiles,
    parts: Sequence[tuple[FileLayout, RawSeries]],
    limits: Limits,
    flags: frozenset[bytes],
    progress: Progress,
) -> None:
    layout = parts[0][0]
    series = join_series([part for _, part in parts])
    if layout.kind == CEOP:
        sensors = split_depths(series, layout.sensor)
    else:
        sensors = iter(
            [(layout.sensor, _with_temperature(series, files, limits, result, progress))]
        )
    for sensor, one in sensors:
        try:
            if _is_inside(sensor, limits):
                result.days.append(daily_series(one, sensor, limits, flags))
            else:
                result.other_depths.append(sensor)
        except InputError as error:
            result.problems.append((files.members[0].path, str(error)))


def _with_temperature(
    series: RawSeries,
    files: SensorFiles,
    limits: Limits,
    result: SensorResult,
    progress: Progress,
) -> RawSeries:
    if "frozen" not in limits.rules:
        return series
    parts = []
    for name, member in files.temperature:
        try:
            parts.append(soil_temperature(member, name, progress))
        except InputError as error:
            result.problems.append((member.path, str(error)))
    return with_temperature(series, join_series(parts)) if parts else series


def _is_inside(sensor: Sensor, limits: Limits) -> bool:
    ends = np.array([sensor.depth_from]), np.array([sensor.depth_to])
    return bool(inside_depth(*ends, limits.depth_min, limits.depth_max)[0])


def _station_fields(
    sensors: Sequence[SensorFiles],
    results: Sequence[SensorResult],
    statics: dict[str, Member],
    problems: list[tuple[str, str]],
) -> StationFields:
    """Return land cover and climate of the stations that have days."""
    fields: StationFields = {}
    for files, result in zip(sensors, results):
        if not result.days or result.layout is None or files.name is None:
            continue
        station = result.layout.sensor.network, result.layout.sensor.station
        static = statics.get(files.name.station)
        if static is None or station in fields:
            continue
        try:
            fields[station] = read_static(b"".join(static.blocks(static.size + 1)))
        except InputError as error:
            problems.append((static.path, str(error)))
            fields[station] = {}
    return fields


def _readings(result: SensorResult) -> list[Readings]:
    """Return the daily means of one sensor as readings."""
    parts = []
    for days in result.days:
        n = len(days.day)
        layout = result.layout
        if not n or layout is None:
            continue
        parts.append(
            Readings(
                station=np.full(n, days.sensor.station, dtype=object),
                network=np.full(n, days.sensor.network, dtype=object),
                time=days.day.astype("datetime64[s]"),
                value=days.mean,
                depth_from=np.full(n, days.sensor.depth_from),
                depth_to=np.full(n, days.sensor.depth_to),
                x=np.full(n, layout.longitude),
                y=np.full(n, layout.latitude),
                count=days.n,
            )
        )
    return parts
