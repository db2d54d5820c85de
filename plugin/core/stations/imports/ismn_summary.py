"""What an import of an ISMN archive says: what was read, what was left out, why nothing is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...errors import InputError
from ...progress import Progress
from .ismn_files import FileLayout
from .ismn_series import SensorDays
from .screening_drops import Drop, Drops, Sensor
from .screening_limits import Limits, no_day_error, no_sensor_error, tell_other_depths

_SHOWN = 20

_Problems = Sequence[tuple[str, str]]


@dataclass(eq=False)
class SensorResult:
    """What came of the files of one sensor.

    Parameters
    ----------
    days : list of SensorDays
        One a depth.
    other_depths : list of Sensor
        Those outside the depths wanted.
    problems : list of (str, str)
        Files that cannot be read: path and reason.
    """

    days: list[SensorDays] = field(default_factory=list)
    other_depths: list[Sensor] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    drops: Drops = field(default_factory=Drops)
    layout: FileLayout | None = None

    def all_drops(self) -> list[Drop]:
        """Return what was left out of all depths."""
        return [*(drop for days in self.days for drop in days.drops), *self.drops.rows]


def tell(
    results: Sequence[SensorResult], problems: _Problems, limits: Limits, progress: Progress
) -> None:
    """Say what was read and what was left out."""
    sensors = [days.sensor for result in results for days in result.days]
    stations = {(sensor.network, sensor.station) for sensor in sensors}
    kinds = sorted({result.layout.kind for result in results if result.layout})
    progress.info(
        f"Read as ISMN archive ({', '.join(kinds) or 'nothing readable'}): "
        f"{_counted(len(sensors), 'sensor')} of {_counted(len(stations), 'station')}."
    )
    others = [sensor for result in results for sensor in result.other_depths]
    if others and sensors:
        tell_other_depths(others, limits.depth_min, limits.depth_max, progress)
    for reason, number in _by_reason(results).items():
        listed = f" ({_listed_flags(results)})" if reason == "quality flag" else ""
        progress.info(f"{number} readings left out: {reason}{listed}.")
    if problems:
        progress.warn(f"{len(problems)} files cannot be read: {listed_problems(problems)}")


def check_left(
    results: Sequence[SensorResult],
    problems: _Problems,
    limits: Limits,
    flags: frozenset[bytes],
) -> None:
    """Raise `InputError` with the reason where no reading is left."""
    if any(len(days.day) for result in results for days in result.days):
        return
    others = [sensor for result in results for sensor in result.other_depths]
    if not any(result.days for result in results):
        if others:
            raise no_sensor_error(others, limits.depth_min, limits.depth_max)
        raise InputError(f"No file can be read: {listed_problems(problems)}")
    reasons = _by_reason(results)
    late = [drop for drop in _drops(results) if drop.reason == "other days"]
    if late:
        first, last = min(drop.first for drop in late), max(drop.last for drop in late)
        raise no_day_error(limits.period, first, last)
    if "quality flag" in reasons:
        wanted = ", ".join(sorted(flag.decode("ascii") for flag in flags))
        raise InputError(
            f"No reading with the quality flag {wanted} is left; there are "
            f"{_listed_flags(results)}.",
            "Set QUALITY_FLAGS; old archives have U for unchecked instead of G for good.",
        )
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
    raise InputError(f"No reading is left; they were left out as: {listed}.")


def listed_problems(problems: _Problems) -> str:
    """Return files with what is wrong with them, the first 20."""
    shown = "; ".join(f"{path} ({reason.rstrip('.')})" for path, reason in problems[:_SHOWN])
    more = len(problems) - _SHOWN
    return f"{shown}; and {more} more." if more > 0 else f"{shown}."


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _drops(results: Iterable[SensorResult]) -> list[Drop]:
    return [drop for result in results for drop in result.all_drops()]


def _by_reason(results: Iterable[SensorResult]) -> dict[str, int]:
    number: Counter[str] = Counter()
    for drop in _drops(results):
        if drop.n == drop.n:
            number[drop.reason] += int(drop.n)
    return dict(number)


def _listed_flags(results: Iterable[SensorResult]) -> str:
    number: Counter[str] = Counter()
    for drop in _drops(results):
        if drop.reason == "quality flag":
            number[drop.detail] += int(drop.n)
    return ", ".join(f"{flag} {count}" for flag, count in number.most_common(_SHOWN))
